// SPDX-License-Identifier: ISC
//
// Preloaded into the conformance suite, which sends no credential of its own:
// adds the header to whatever goes to the server under test, by fetch, by
// node:http and by an undici of the suite's own.
import http from 'node:http';
import diagnostics from 'node:diagnostics_channel';

const bearer = `Bearer ${process.env.BEARER}`;

const request = http.request;
http.request = function (...args) {
	const req = request.apply(this, args);
	if (!req.hasHeader('authorization'))
		req.setHeader('authorization', bearer);
	return req;
};
// Both Node's fetch and an undici package announce a request before it is sent.
diagnostics.subscribe('undici:request:create', ({ request: req }) => {
	const names = Array.isArray(req.headers) ? req.headers : String(req.headers ?? '').split(/[:\r\n]+/);
	if (!names.some(n => String(n).trim().toLowerCase() === 'authorization'))
		req.addHeader('authorization', bearer);
});
