// SPDX-License-Identifier: ISC
//
// The peer of the benchmark: the official TypeScript SDK server, 2.x, with pg,
// doing what pontifexd does: the API key is looked up by its SHA-256, its
// scope checked, the same SELECT run as a prepared statement, and one audit
// row inserted and awaited before the answer leaves.
// usage: node sdk_server.mjs MODULES PORT PGHOST PGPORT KEY
import { createHash } from 'node:crypto';
import http from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [modules, port, pgHost, pgPort, key] = process.argv.slice(2);
const require = createRequire(modules + '/');
const load = name => import(pathToFileURL(require.resolve(name)).href);
const { McpServer, createMcpHandler } = await load('@modelcontextprotocol/server');
const { toNodeHandler } = await load('@modelcontextprotocol/node');
const z = await load('zod');
const { default: pg } = await load('pg');

const sha256 = text => createHash('sha256').update(text).digest('hex');
const keys = new Map([[sha256(key), { id: 'bench', owner: 'bench', scopes: ['bench:item:read'] }]]);
const pool = new pg.Pool({ host: pgHost, port: Number(pgPort), user: 'bench', database: 'bench', max: 16 });
const select = {
	name: 'item',
	text: 'SELECT id, name, price_cents, quantity, note FROM items WHERE id = $1',
};
const audit = {
	name: 'audit',
	text: `INSERT INTO sdk_audit (key_id, owner_id, tool_name, tool_params, outcome, response_ms, ip_address)
	       VALUES ($1, $2, $3, $4, $5, $6, $7)`,
};

const handler = createMcpHandler(({ authInfo }) => {
	const server = new McpServer({ name: 'sdk', version: '1.0.0' });
	server.registerTool('item_lookup', {
		title: 'Item lookup',
		description: 'Look up one item.',
		inputSchema: z.object({ item_id: z.number().int().min(1) }).strict(),
	}, async ({ item_id }) => {
		const begun = performance.now();
		const { rows } = await pool.query({ ...select, values: [item_id] });
		await pool.query({ ...audit, values: [authInfo.clientId, authInfo.extra.owner, 'item_lookup',
			JSON.stringify({ item_id }), 'ok', Math.round(performance.now() - begun), '127.0.0.1'] });
		const structuredContent = { rows, row_count: rows.length, truncated: false };
		return { content: [{ type: 'text', text: JSON.stringify(structuredContent) }], structuredContent };
	});
	return server;
});
const nodeHandler = toNodeHandler(handler);

http.createServer((req, res) => {
	const token = /^Bearer (.+)$/i.exec(req.headers.authorization ?? '')?.[1];
	const caller = token && keys.get(sha256(token));
	if (!caller) {
		res.writeHead(401, { 'WWW-Authenticate': 'Bearer' }).end();
		return;
	}
	if (!caller.scopes.includes('bench:item:read')) {
		res.writeHead(403).end();
		return;
	}
	req.auth = { token, clientId: caller.id, scopes: caller.scopes, extra: { owner: caller.owner } };
	nodeHandler(req, res);
}).listen(Number(port), '127.0.0.1');
