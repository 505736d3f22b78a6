\set id random(1, 100000)
SELECT id, name, price_cents, quantity, note FROM items WHERE id = :id;
