// SPDX-License-Identifier: ISC
//
// The official MCP clients, both generations, get from a bare 401 to a tool's
// result: metadata of the resource and of the provider, registration, the
// authorisation code with PKCE, the token, the call, and once more for a
// scope that was missing.  Theirs is all of it but the browser, which is us.
// usage: node oauth.mjs MODULES URL ISSUER TOKENS [ONE]; prints ok / not ok
// lines, and puts the tokens that it got into the file TOKENS; ONE story alone.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [modules, url, issuer, tokens, only] = process.argv.slice(2);
const require = createRequire(modules + '/');
const load = name => import(pathToFileURL(require.resolve(name)).href);
const v1 = {
	...(await load('@modelcontextprotocol/sdk/client/index.js')),
	...(await load('@modelcontextprotocol/sdk/client/streamableHttp.js')),
};
const v2 = await load('@modelcontextprotocol/client');
const callback = 'http://127.0.0.1:9/callback';	// nobody is there: we read the redirect

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

// What a client must keep between its visits, and nothing of its own mind.
class Keeper {
	constructor(name, scope) {
		this.name = name;
		this.scope = scope;
	}
	get redirectUrl() { return callback; }
	get clientMetadata() {
		return { client_name: this.name, redirect_uris: [callback], grant_types: ['authorization_code'],
			response_types: ['code'], token_endpoint_auth_method: 'none', application_type: 'native' };
	}
	state() { return this.kept_state ??= crypto.randomUUID(); }
	clientInformation() { return this.information; }
	saveClientInformation(information) { this.information = information; }
	tokens() { return this.kept_tokens; }
	saveTokens(tokens) { this.kept_tokens = tokens; }
	saveCodeVerifier(verifier) { this.verifier = verifier; }
	codeVerifier() { return this.verifier; }
	saveDiscoveryState(state) { this.discovery = state; }
	discoveryState() { return this.discovery; }
	redirectToAuthorization(to) { this.authorization = to; }
}

// The browser: follows redirects with cookies, as far as the callback.
async function browse(to) {
	const jar = new Map();
	for (let at = new URL(to), hops = 0; hops < 12; hops++) {
		if (at.href.startsWith(callback))
			return at.searchParams;
		const answer = await fetch(at, { redirect: 'manual',
			headers: { cookie: [...jar].map(([k, v]) => `${k}=${v}`).join('; ') } });
		for (const line of answer.headers.getSetCookie()) {
			const [pair] = line.split(';');
			const cut = pair.indexOf('=');
			jar.set(pair.slice(0, cut), pair.slice(cut + 1));
		}
		if (!answer.headers.has('location'))
			throw new Error(`${answer.status} at ${at}: ${(await answer.text()).slice(0, 600)}`);
		at = new URL(answer.headers.get('location'), at);
	}
	throw new Error('too many redirects');
}

// Every request of the client that goes to our daemon or its provider.
function spy(seen) {
	return async (input, init) => {
		const answer = await fetch(input, init);
		const at = new URL(input instanceof Request ? input.url : input);
		seen.push({ at: (at.origin === new URL(issuer).origin ? 'provider ' : 'daemon ') + at.pathname,
			status: answer.status, challenge: answer.headers.get('www-authenticate') });
		return answer;
	};
}

async function authorize(keeper, transport) {
	const asked = keeper.authorization.searchParams;
	const told = await browse(keeper.authorization);
	keeper.authorization = undefined;
	if (told.get('state') !== keeper.kept_state || !told.has('code'))
		throw new Error(`the provider says ${told}`);
	await transport.finishAuth(told.get('code'), told.get('iss') ?? undefined);
	return asked;
}

async function attempt(doing) {
	try {
		return { result: await doing() };
	} catch (error) {
		return { error };
	}
}

const payload = token => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
const words = text => (text ?? '').split(' ').filter(w => w.startsWith('shop:')).sort();

async function story(name, sdk, options, alg) {
	const seen = [], who = `${name.replaceAll(/\W+/g, '-')} ${alg}`;
	const keeper = new Keeper(who);
	const open = () => new sdk.StreamableHTTPClientTransport(new URL(url),
		{ authProvider: keeper, fetch: spy(seen) });
	const make = () => new sdk.Client({ name: 'pontifexd-tests', version: '1.0.0' }, options);
	try {
		let transport = open();
		const first = await attempt(() => make().connect(transport));
		check(`${name}: without a token it is sent to the provider`, true, keeper.authorization?.origin === new URL(issuer).origin ||
			String(first.error?.stack));
		const bare = seen.find(s => s.status === 401);
		check(`${name}: by a bare 401 with the place of the metadata and no error`, [true, false],
			[/^Bearer .*resource_metadata="http/.test(bare?.challenge ?? ''), /error/.test(bare?.challenge ?? '')]);
		check(`${name}: it reads the resource's metadata, the provider's, and registers`, [200, 200, 201],
			[/^daemon \/\.well-known\/oauth-protected-resource/, /^provider .*\/\.well-known\//, /^provider \/reg$/]
				.map(at => seen.find(s => at.test(s.at) && s.status < 300)?.status));
		const asked = await authorize(keeper, transport);
		check(`${name}: it asks with PKCE, for this resource`, ['S256', url],
			[asked.get('code_challenge_method'), asked.get('resource')]);
		fs.appendFileSync(tokens, keeper.kept_tokens.access_token + '\n');
		const claims = payload(keeper.kept_tokens.access_token);
		check(`${name}: the token is for us`, [issuer, url, who.split(' ')[0]], [claims.iss, claims.aud, claims.sub]);
		const header = JSON.parse(Buffer.from(keeper.kept_tokens.access_token.split('.')[0], 'base64url'));
		check(`${name}: signed with ${alg}`, alg, header.alg);

		transport = open();
		const client = make();
		await client.connect(transport);
		const { tools } = await client.listTools();
		check(`${name}: the token's scope opens two tools`, ['shop:order:read', 'order_lookup orders_search'],
			[claims.scope, tools.map(t => t.name).sort().join(' ')]);
		const answer = await client.callTool({ name: 'order_lookup', arguments: { order_id: 1003 } });
		check(`${name}: and calls one`, 'Bauer & Söhne', answer.structuredContent?.rows[0].customer);

		// The scope that is missing is named, fetched and enough.
		const cancel = { name: 'order_cancel', arguments: { order_id: 1002 } };
		const short = await attempt(() => client.callTool(cancel));
		const challenge = seen.find(s => s.status === 403)?.challenge ?? '';
		check(`${name}: a scope too few is named`, [true, true, true],
			[/error="insufficient_scope"/, /scope="[^"]*shop:order:write/, /resource_metadata="http/]
				.map(part => part.test(challenge) || challenge));
		check(`${name}: it goes for that scope`, true,
			words(keeper.authorization?.searchParams.get('scope')).includes('shop:order:write') ||
			String(short.error?.stack));
		await authorize(keeper, transport);
		const done = await client.callTool(cancel);
		check(`${name}: and may call the tool`, [false, true],
			[done.isError ?? false, Array.isArray(done.structuredContent?.rows)]);
		await client.close();
	} catch (error) {
		check(`${name}: works`, 'no exception', String(error?.stack ?? error).split('\n').slice(0, 4).join(' '));
	}
}

const stories = [
	['sdk 1.x', v1, undefined, 'RS256'],
	['client 2.x, as it comes', v2, undefined, 'ES256'],
	['client 2.x, auto', v2, { versionNegotiation: { mode: 'auto' } }, 'PS256'],
	['client 2.x, modern only', v2, { versionNegotiation: { mode: { pin: '2026-07-28' } } }, 'EdDSA'],
];
for (const told of stories)
	if (only === undefined || told[0] === only)
		await story(...told);
process.exit(failed === 0 ? 0 : 1);
