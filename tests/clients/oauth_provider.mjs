// SPDX-License-Identifier: ISC
//
// A real OpenID provider (the npm package oidc-provider) over HTTPS on
// loopback, for the tests of authd: JWT access tokens for the resource it is
// told, any client may register itself, PKCE, and whoever comes is logged in
// as the account that the client's name asks for, without being asked.  At the
// first time he grants to read and no more.
//
// usage: node oauth_provider.mjs MODULES keys FILE
//            a new set of signing keys, an old one's first where FILE exists
//        node oauth_provider.mjs MODULES serve ISSUER RESOURCE CERT KEY KEYS
//            prints `ready' and serves until it is ended
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { generateKeyPairSync } from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';

const [modules, what, ...rest] = process.argv.slice(2);
const require = createRequire(modules + '/');

function keys(file) {
	const made = Date.now().toString(36);
	const key = (alg, ...options) => ({ ...generateKeyPairSync(...options).privateKey.export({ format: 'jwk' }),
		use: 'sig', alg, kid: `${alg.toLowerCase()}-${made}` });
	const rsa = { modulusLength: 2048 };
	const fresh = [
		key('RS256', 'rsa', rsa), key('PS256', 'rsa', rsa),
		key('ES256', 'ec', { namedCurve: 'P-256' }), key('EdDSA', 'ed25519'),
	];
	const old = fs.existsSync(file) ? JSON.parse(fs.readFileSync(file)).keys : [];
	// The provider signs with the first that fits.
	fs.writeFileSync(file, JSON.stringify({ keys: [...fresh, ...old] }));
}

// `NAME ALG': who it is, and how its tokens are signed.
const told = client => (client.clientName ?? '').split(' ');

async function serve(issuer, resource, cert, key, keyFile) {
	const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')).href);
	const server = {
		scope: 'shop:order:read shop:order:write',
		audience: resource,
		accessTokenFormat: 'jwt',
		accessTokenTTL: 600,
	};
	const provider = new Provider(issuer, {
		jwks: JSON.parse(fs.readFileSync(keyFile)),
		cookies: { keys: ['not a secret: a test'] },
		clientAuthMethods: ['none'],
		clientDefaults: { token_endpoint_auth_method: 'none', id_token_signed_response_alg: 'ES256' },
		enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA'] },
		scopes: ['openid', 'offline_access', 'shop:order:read', 'shop:order:write'],
		findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
		interactions: { url: (ctx, interaction) => `/accept/${interaction.uid}` },
		extraTokenClaims: () => ({ tenant: 'acme', rate_limit: 1 }),
		features: {
			devInteractions: { enabled: false },
			registration: { enabled: true },
			resourceIndicators: {
				enabled: true,
				defaultResource: () => resource,
				useGrantedResource: () => true,
				getResourceServerInfo: (ctx, indicator, client) => {
					if (indicator !== resource)
						throw new Error(`asked for a token for ${indicator}`);
					return { ...server, jwt: { sign: { alg: told(client)[1] ?? 'RS256' } } };
				},
			},
		},
	});
	const granted = new Set();
	provider.use(async (ctx, next) => {
		if (!ctx.path.startsWith('/accept/'))
			return next();
		const { params, prompt } = await provider.interactionDetails(ctx.req, ctx.res);
		const client = await provider.Client.find(params.client_id);
		const accountId = told(client)[0];
		const grant = new provider.Grant({ accountId, clientId: params.client_id });
		const wanted = prompt.details.missingResourceScopes ?? {};
		for (const [indicator, scopes] of Object.entries(wanted)) {
			for (const scope of scopes) {
				if (granted.has(params.client_id) || scope.endsWith(':read'))
					grant.addResourceScope(indicator, scope);
				else
					grant.rejectResourceScope(indicator, scope);
			}
		}
		if (prompt.details.missingOIDCScope)
			grant.addOIDCScope(prompt.details.missingOIDCScope.join(' '));
		if (prompt.name === 'consent')
			granted.add(params.client_id);
		ctx.respond = false;
		await provider.interactionFinished(ctx.req, ctx.res, prompt.name === 'login' ?
			{ login: { accountId } } : { consent: { grantId: await grant.save() } },
			{ mergeWithLastSubmission: true });
	});
	provider.on('server_error', (ctx, error) => console.error(error));
	const { port, hostname } = new URL(issuer);
	https.createServer({ cert: fs.readFileSync(cert), key: fs.readFileSync(key) }, (req, res) => {
		console.log(req.method, req.url.split('?')[0]);
		provider.callback()(req, res);
	}).listen(Number(port), hostname, () => console.log('ready'));
}

await { keys, serve }[what](...rest);
