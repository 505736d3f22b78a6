/* SPDX-License-Identifier: ISC */

/*
 * The API keys in force.  A credential is resolved by its id and proven by
 * its hash, compared in constant time; whatever is wrong with it, the same
 * work is done and the caller sees the same refusal.  Where the file has keys
 * of the reference system, which name no id, each credential is looked for
 * among their hashes too: those are keyed by the pepper, so that the steps of
 * the search tell nobody anything.
 */

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/log.h"
#include "authd.h"

static uint8_t pepper[KEY_LEN];
static struct api_key *keys;	/* sorted by id */
static size_t nkeys;

/* Those of them without an id, sorted by hash. */
struct hashed {
	const uint8_t	*hash;
	struct api_key	*key;
};
static struct hashed *legacy;
static size_t nlegacy;

static int
by_id(const void *a, const void *b)
{
	const struct api_key *ka = a, *kb = b;
	size_t la = ka->identity.key_id.len, lb = kb->identity.key_id.len;
	int rc = memcmp(ka->identity.key_id.ptr, kb->identity.key_id.ptr,
	    la < lb ? la : lb);

	return rc != 0 ? rc : (la > lb) - (la < lb);
}

static struct api_key *
find(struct api_key *in, size_t n, struct slice id)
{
	struct api_key want;

	if (n == 0)
		return NULL;
	want.identity.key_id = id;
	return bsearch(&want, in, n, sizeof(want), by_id);
}

static void
key_free(struct api_key *k)
{
	explicit_bzero(k->hash, sizeof(k->hash));
	free(k->scope);
	free(k->text);
}

/* Copies text behind *at and says where it stands now. */
static struct slice
keep(char **at, const char *text)
{
	struct slice sl = { *at, strlen(text) };

	memcpy(*at, text, sl.len);
	*at += sl.len;
	return sl;
}

/* One allocation holds all the text of a key. */
static int
key_from_entry(struct api_key *k, const struct key_entry *e)
{
	size_t len = strlen(e->id) + strlen(e->owner) + strlen(e->label);
	uint32_t i;
	char *at;

	memset(k, 0, sizeof(*k));
	for (i = 0; i < e->nattributes; i++)
		len += strlen(e->attribute[i].name) +
		    strlen(e->attribute[i].value);
	for (i = 0; i < e->nscopes; i++)
		len += strlen(e->scope[i]);
	k->text = malloc(len + 1);
	k->scope = reallocarray(NULL, e->nscopes, sizeof(*k->scope));
	if (k->text == NULL || k->scope == NULL) {
		key_free(k);
		return -1;
	}
	at = k->text;
	memcpy(k->hash, e->hash, sizeof(k->hash));
	k->legacy = e->legacy;
	k->revoked = e->revoked;
	k->expires = e->expires;
	k->rate = e->rate;
	k->identity.kind = CREDENTIAL_KEY;
	k->identity.key_id = keep(&at, e->id);
	k->identity.owner = keep(&at, e->owner);
	k->identity.label = keep(&at, e->label);
	account_of(&k->owner, CREDENTIAL_KEY, k->identity.owner, NULL);
	if (k->rate.count > 0)
		account_of(&k->payer, CREDENTIAL_KEY, k->identity.owner,
		    &k->rate);
	k->identity.attributes = e->nattributes;
	for (i = 0; i < e->nattributes; i++) {
		k->identity.attribute[i].name = keep(&at, e->attribute[i].name);
		k->identity.attribute[i].value =
		    keep(&at, e->attribute[i].value);
	}
	k->nscopes = e->nscopes;
	for (i = 0; i < e->nscopes; i++)
		k->scope[i] = keep(&at, e->scope[i]);
	return 0;
}

static size_t
read_lines(struct slice file, struct api_key **out)
{
	static struct key_entry entry;
	struct api_key *list = NULL, *grown;
	size_t n = 0, cap = 0, number = 0;
	const char *error, *nl;
	struct slice line;

	while (file.len > 0) {
		number++;
		nl = memchr(file.ptr, '\n', file.len);
		line.ptr = file.ptr;
		line.len = nl == NULL ? file.len : (size_t)(nl - file.ptr);
		file.ptr += nl == NULL ? line.len : line.len + 1;
		file.len -= nl == NULL ? line.len : line.len + 1;
		if (keyfile_is_comment(line))
			continue;
		/* A scope that was cut short may be another. */
		if (nl == NULL) {
			log_warn("key file: line %zu: it has no end, as if the "
			    "file were cut short: it grants nothing", number);
			continue;
		}
		if (line.len > KEYFILE_LINE_MAX) {
			log_warn("key file: line %zu: too long: it grants "
			    "nothing", number);
			continue;
		}
		if (keyfile_parse(line, &entry, &error) == -1) {
			log_warn("key file: line %zu: %s: it grants nothing",
			    number, error);
			continue;
		}
		if (n == KEYS_MAX) {
			log_warn("key file: more than %d keys: the rest "
			    "grants nothing", KEYS_MAX);
			break;
		}
		if (n == cap) {
			cap = cap == 0 ? 64 : cap * 2;
			grown = reallocarray(list, cap, sizeof(*list));
			if (grown == NULL) {
				log_warn("key file: out of memory");
				break;
			}
			list = grown;
		}
		if (key_from_entry(&list[n], &entry) == 0)
			n++;
	}
	explicit_bzero(&entry, sizeof(entry));
	*out = list;
	return n;
}

/* An id that stands twice might have been planted: neither line counts. */
static size_t
drop_twins(struct api_key *list, size_t n)
{
	size_t i, j, k, kept = 0;

	for (i = 0; i < n; i = j) {
		for (j = i + 1; j < n && by_id(&list[i], &list[j]) == 0; j++)
			;
		if (j == i + 1) {
			if (kept != i)
				list[kept] = list[i];
			kept++;
			continue;
		}
		log_warn("key file: id %.*s stands %zu times: it grants "
		    "nothing", (int)list[i].identity.key_id.len,
		    list[i].identity.key_id.ptr, j - i);
		for (k = i; k < j; k++)
			key_free(&list[k]);
	}
	return kept;
}

/* What a key has done stays its own whatever its line says now. */
static void
carry_over(struct api_key *to, const struct api_key *from)
{
	to->used = from->used;
	to->used_told = from->used_told;
	to->warned = from->warned;
}

static int
by_hash(const void *a, const void *b)
{
	const struct hashed *ha = a, *hb = b;

	return memcmp(ha->hash, hb->hash, DIGEST_LEN);
}

/*
 * The keys that are found by their hash.  A hash that stands twice would be
 * two identities: it is neither.
 */
static void
index_legacy(struct api_key *list, size_t n)
{
	size_t i, j, found = 0;

	free(legacy);
	legacy = NULL;
	nlegacy = 0;
	for (i = 0; i < n; i++)
		found += (size_t)list[i].legacy;
	if (found == 0)
		return;
	if ((legacy = reallocarray(NULL, found, sizeof(*legacy))) == NULL) {
		log_warn("key file: out of memory: no key of the reference "
		    "system is in force");
		return;
	}
	for (i = j = 0; i < n; i++)
		if (list[i].legacy) {
			legacy[j].hash = list[i].hash;
			legacy[j++].key = &list[i];
		}
	qsort(legacy, found, sizeof(*legacy), by_hash);
	for (i = 0; i < found; i = j) {
		for (j = i + 1; j < found &&
		    by_hash(&legacy[i], &legacy[j]) == 0; j++)
			;
		if (j == i + 1)
			legacy[nlegacy++] = legacy[i];
		else
			log_warn("key file: the hash of id %.*s stands %zu "
			    "times: it grants nothing",
			    (int)legacy[i].key->identity.key_id.len,
			    legacy[i].key->identity.key_id.ptr, j - i);
	}
}

void
apikey_load(const struct msg_keys *m)
{
	static int first = 1;
	struct api_key *list, *old;
	size_t i, n;

	memcpy(pepper, m->pepper, sizeof(pepper));
	n = read_lines(m->file, &list);
	if (n > 0)
		qsort(list, n, sizeof(*list), by_id);
	n = drop_twins(list, n);
	for (i = 0; list != NULL && i < n; i++)
		if ((old = find(keys, nkeys, list[i].identity.key_id)) != NULL)
			carry_over(&list[i], old);
	keydiff_tell(keys, nkeys, list, n, first);
	first = 0;
	for (i = 0; i < nkeys; i++)
		key_free(&keys[i]);
	free(keys);
	keys = list;
	nkeys = n;
	index_legacy(keys, nkeys);
	log_info("keys in force: %zu", nkeys);
}

size_t
apikey_count(void)
{
	return nkeys;
}

struct api_key *
apikey_at(size_t i)
{
	return i < nkeys ? &keys[i] : NULL;
}

/*
 * The key of the reference system with this text, or NULL.  Costs the same
 * for every text; nothing where the file has no such key.
 */
static struct api_key *
find_legacy(struct slice text)
{
	uint8_t hash[DIGEST_LEN];
	struct hashed want = { hash, NULL }, *found;

	if (nlegacy == 0)
		return NULL;
	key_hash_legacy(pepper, text, hash);
	found = bsearch(&want, legacy, nlegacy, sizeof(*legacy), by_hash);
	if (found != NULL && !digest_equal(found->hash, hash))
		found = NULL;
	explicit_bzero(hash, sizeof(hash));
	return found == NULL ? NULL : found->key;
}

/* Whether it could be a key of the reference system. */
static int
has_legacy_form(struct slice text)
{
	return nlegacy > 0 && text.len > 3 && text.len <= KEY_TEXT_MAX &&
	    key_text_begins(text);
}

struct api_key *
apikey_check(struct slice credential, int64_t now, enum reason *reason,
    struct slice *suspect)
{
	static const uint8_t nothing[DIGEST_LEN];
	struct slice id = key_text_id(credential);
	struct api_key *k = id.len == 0 ? NULL : find(keys, nkeys, id);
	struct api_key *old = find_legacy(credential);
	uint8_t hash[DIGEST_LEN];
	int same;

	/* The same hash and the same comparison, known or not. */
	key_hash(pepper, credential, hash);
	if (k != NULL && k->legacy)
		k = NULL;
	same = digest_equal(hash, k == NULL ? nothing : k->hash);
	explicit_bzero(hash, sizeof(hash));
	/* Theirs may look like one of ours, with an id by accident. */
	if (!same && old != NULL && has_legacy_form(credential)) {
		k = old;
		same = 1;
	}
	suspect->ptr = "";
	suspect->len = 0;
	if (k == NULL) {
		*reason = id.len == 0 && !has_legacy_form(credential) ?
		    REASON_MALFORMED_CREDENTIAL : REASON_UNKNOWN_KEY;
		return NULL;
	}
	*suspect = k->identity.key_id;
	if (!same) {
		*reason = REASON_BAD_SECRET;
		return NULL;
	}
	if (k->revoked) {
		*reason = REASON_UNKNOWN_KEY;
		return NULL;
	}
	if (k->expires != 0 && k->expires <= now) {
		*reason = REASON_EXPIRED_KEY;
		return NULL;
	}
	*reason = REASON_NONE;
	return k;
}
