// SPDX-License-Identifier: ISC
//
// A host as a desktop client is one: starts the program of a server in its
// configuration and speaks to its standard input and output, a message a line.
// usage: node desktop.mjs CONFIGURATION SERVER TOOL ARGUMENTS

import { readFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const [, , file, name, tool, args] = process.argv;
const server = JSON.parse(readFileSync(file, 'utf8')).mcpServers[name];
const child = spawn(server.command, server.args, {
	env: { ...process.env, ...server.env }, stdio: ['pipe', 'pipe', 'inherit'], detached: true,
});
const waiting = new Map();
createInterface({ input: child.stdout }).on('line', (line) => {
	const message = JSON.parse(line);
	waiting.get(message.id)?.(message);
});
const send = (message) => child.stdin.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\n');
const ask = (id, method, params) => new Promise((resolve) => {
	waiting.set(id, resolve);
	send({ id, method, params });
});

await ask(1, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'desktop', version: '1' } });
send({ method: 'notifications/initialized' });
const tools = await ask(2, 'tools/list', {});
console.log('tools', tools.result.tools.map((t) => t.name).join(' '));
const result = await ask(3, 'tools/call', { name: tool, arguments: JSON.parse(args) });
console.log('result', JSON.stringify(result.result));
// npx has children of its own.
process.kill(-child.pid, 'SIGTERM');
process.exit(0);
