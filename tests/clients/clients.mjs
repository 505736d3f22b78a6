// SPDX-License-Identifier: ISC
//
// The official MCP clients, both generations, list and call tools on a running
// daemon: as they come, and each way the newer one can be told to negotiate.
// usage: node clients.mjs MODULES URL KEY OTHER-KEY; prints ok / not ok lines.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [modules, url, key, otherKey] = process.argv.slice(2);
const require = createRequire(modules + '/');
const load = name => import(pathToFileURL(require.resolve(name)).href);
const v1 = {
	...(await load('@modelcontextprotocol/sdk/client/index.js')),
	...(await load('@modelcontextprotocol/sdk/client/streamableHttp.js')),
};
const v2 = await load('@modelcontextprotocol/client');

let failed = 0;
function check(name, wanted, got) {
	const a = JSON.stringify(wanted), b = JSON.stringify(got);
	if (a === b) {
		console.log(`ok - ${name}`);
	} else {
		failed++;
		console.log(`not ok - ${name}: wanted ${a}, got: ${b}`);
	}
}

// What travels, so that the era is seen and not believed.
function spy(seen) {
	return async (input, init) => {
		if (init?.body) {
			const body = JSON.parse(init.body);
			const headers = new Headers(init.headers);
			seen.push({ method: body.method, version: headers.get('mcp-protocol-version') });
		}
		return fetch(input, init);
	};
}

async function connect(sdk, bearer, options) {
	const seen = [];
	const client = new sdk.Client({ name: 'pontifexd-tests', version: '1.0.0' }, options);
	const transport = new sdk.StreamableHTTPClientTransport(new URL(url), {
		fetch: spy(seen),
		requestInit: { headers: { Authorization: `Bearer ${bearer}` } },
	});
	await client.connect(transport);
	return { client, seen };
}

async function story(name, sdk, options, first, era) {
	try {
		const { client, seen } = await connect(sdk, key, options);
		check(`${name}: speaks first`, first, seen[0].method);
		check(`${name}: knows the server`, 'pontifexd', client.getServerVersion()?.name);
		const { tools } = await client.listTools();
		check(`${name}: lists the tools`, ['order_lookup', 'orders_search'], tools.map(t => t.name));
		const result = await client.callTool({ name: 'order_lookup', arguments: { order_id: 1003 } });
		check(`${name}: calls one`, ['Bauer & Söhne', 99999, 1, false],
			[result.structuredContent.rows[0].customer, result.structuredContent.rows[0].total_cents,
			 result.structuredContent.row_count, result.structuredContent.truncated]);
		check(`${name}: the text says the same`, result.structuredContent, JSON.parse(result.content[0].text));
		const bad = await client.callTool({ name: 'order_lookup', arguments: { order_id: 'x' } });
		check(`${name}: sees bad arguments as a tool's error`, [true, 'invalid_input'],
			[bad.isError, JSON.parse(bad.content[0].text).error_code]);
		const many = await Promise.all([...Array(20).keys()].map(i =>
			client.callTool({ name: 'order_lookup', arguments: { order_id: 1001 + i % 5 } })));
		check(`${name}: twenty at once, each its own answer`, [...Array(20).keys()].map(i => 1001 + i % 5),
			many.map(r => r.structuredContent.rows[0].id));
		check(`${name}: speaks the era it should`, era,
			[...new Set(seen.filter(s => s.method === 'tools/call').map(s => s.version))].join());
		try {
			const unknown = await client.callTool({ name: 'no_such_tool', arguments: {} });
			check(`${name}: an unknown tool is an error`, true, unknown.isError);
		} catch (error) {
			check(`${name}: an unknown tool is an error`, -32602, error.code);
		}
		try {
			await client.callTool({ name: 'order_cancel', arguments: { order_id: 1001 } });
			check(`${name}: out of scope is an error`, 'an error', 'a result');
		} catch (error) {
			check(`${name}: out of scope is an error`, true, /403|scope|Forbidden|insufficient/i.test(String(error.message) + error.code + error.name));
		}
		await client.close();
	} catch (error) {
		check(`${name}: works`, 'no exception', String(error?.stack ?? error).split('\n').slice(0, 4).join(' '));
	}
}

async function refused(name, sdk, options) {
	try {
		await connect(sdk, 'sk_live_nobody_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', options);
		check(`${name}: a bad key is refused`, 'an error', 'a connection');
	} catch (error) {
		check(`${name}: a bad key is refused`, true, /401|auth|token/i.test(String(error.message) + error.code + error.name));
	}
}

const modern = '2026-07-28', legacy = '2025-11-25';
await story('sdk 1.x', v1, undefined, 'initialize', legacy);
await refused('sdk 1.x', v1, undefined);
await story('client 2.x, as it comes', v2, undefined, 'initialize', legacy);
await story('client 2.x, auto', v2, { versionNegotiation: { mode: 'auto' } }, 'server/discover', modern);
await refused('client 2.x, auto', v2, { versionNegotiation: { mode: 'auto' } });
await story('client 2.x, modern only', v2, { versionNegotiation: { mode: { pin: modern } } }, 'server/discover', modern);
try {
	const { client } = await connect(v2, otherKey, { versionNegotiation: { mode: 'auto' } });
	check('another caller sees other tools', [], (await client.listTools()).tools.map(t => t.name));
	await client.close();
} catch (error) {
	check('another caller sees other tools', 'no exception', String(error));
}
process.exit(failed === 0 ? 0 : 1);
