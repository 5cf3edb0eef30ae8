// The npm SDK against servers of its own: node tests/e2e/sdk_node/sdk_test.mjs, DOUGONG names the program.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

import { Client, DougongError, RunFailedError, StepError, Worker } from '../../../sdk/npm/src/index.js';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const DOUGONG = process.env.DOUGONG ?? path.join(ROOT, 'build/release/dougong');

/** A server in a home of its own; it can be killed and begun again on its port. */
class Server {
  constructor(t) {
    this.home = fs.mkdtempSync(path.join(os.tmpdir(), 'dougong-sdk-'));
    t.after(async () => {
      await this.kill();
      fs.rmSync(this.home, { recursive: true, force: true });
    });
  }
  async start() {
    const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(DOUGONG_|XDG_)/.test(name)));
    this.process = spawn(DOUGONG, ['serve', '--model', 'smoke', '--port', String(this.port ?? 0), '--sandbox.enabled', 'off', '--log.level', 'error'],
      { stdio: ['ignore', 'pipe', 'inherit'], env: { ...environment, HOME: this.home } });
    for await (const line of readline.createInterface({ input: this.process.stdout })) {
      if (line.startsWith('listening')) this.url = line.split(/\s+/)[1];
      if (line.startsWith('API')) break;
    }
    assert.ok(this.url, 'the server started');
    this.process.stdout.resume();
    this.port = new URL(this.url).port;
    return this;
  }
  async kill() {
    if (!this.process || this.process.exitCode !== null || this.process.signalCode) return;
    const over = new Promise((resolve) => { this.process.once('exit', resolve); });
    this.process.kill('SIGKILL');
    await over;
  }
}

/** Steps that one worker function does, one after another. */
const flow = (name, ...functions) => ({ name, steps: functions.map((called) => ({
  id: called, worker: { queue: 'q', function: called, arguments: '{{ input }}' },
  retry: { attempts: 3, backoff: '1ms' } })) });

/** A promise and what settles it. */
const later = () => {
  const out = {};
  out.promise = new Promise((resolve) => { out.resolve = resolve; });
  return out;
};

async function world(t, steps, options = {}) {
  const server = await new Server(t).start();
  const client = new Client({ url: server.url });
  t.after(() => client.close());
  const events = [];
  const worker = new Worker({ url: server.url, steps: { q: steps }, onEvent: (...event) => events.push(event), ...options });
  const running = worker.run();
  t.after(async () => {
    await worker.stop({ timeoutMs: 0 });
    await running;
  });
  return { server, client, worker, events, running };
}

test('steps are functions; failures say whether they are tried again', async (t) => {
  const seen = [];
  const { client, running, worker } = await world(t, {
    good: ({ x }, context) => {
      context.usage({ tokens: 7 });
      return { y: x + 1 };
    },
    flaky: async ({ x }, { attempt, idempotencyKey }) => {
      seen.push(idempotencyKey);
      if (attempt < 3) throw new Error('busy');
      return { z: x };
    },
    bad: () => { throw new StepError('invalid_argument', 'never'); },
    circle: () => { const one = {}; one.one = one; return one; },
  });
  await client.deploy(flow('good', 'good', 'flaky'));
  assert.deepEqual(await client.run('good', { input: { x: 4 } }), { z: 4 });
  assert.equal(seen.length, 3);
  assert.equal(new Set(seen).size, 1, 'every attempt has the same key');
  await client.deploy(flow('bad', 'bad'));
  await assert.rejects(client.run('bad'), (error) => error instanceof RunFailedError && /never/.test(error.message));
  await client.deploy(flow('circle', 'circle'));
  await assert.rejects(client.run('circle'), /no JSON/);
  const [listed] = (await client.workers()).workers;
  assert.equal(listed.worker, worker.name);
  assert.deepEqual(listed.queues, { q: ['good', 'flaky', 'bad', 'circle'] });
  assert.equal(await Promise.race([running, 'runs']), 'runs');
});

test('many runs at once, more than the worker has hands', async (t) => {
  let now = 0, most = 0;
  const { client } = await world(t, { slow: async ({ n }) => {
    most = Math.max(most, ++now);
    await new Promise(setImmediate);
    --now;
    return n * 2;
  } }, { concurrency: 5 });
  await client.deploy(flow('many', 'slow'));
  const outputs = await Promise.all(Array.from({ length: 200 }, (_, n) => client.run('many', { input: { n } })));
  assert.deepEqual(outputs, Array.from({ length: 200 }, (_, n) => n * 2));
  assert.ok(most <= 5, `${most} at once`);
});

test('a start is repeated without starting twice, events go on where they were', async (t) => {
  const { client } = await world(t, { f: () => 1 });
  await client.deploy(flow('once', 'f'));
  const first = await client.start('once', { idempotencyKey: 'order-7' });
  assert.equal((await client.start('once', { idempotencyKey: 'order-7' })).id, first.id);
  assert.equal(await client.wait(first.id), 1);
  const all = [];
  for await (const event of client.events(first.id)) all.push(event);
  assert.deepEqual(all.map((event) => event.event), ['run_started', 'step_started', 'step_finished', 'run_completed']);
  const rest = [];
  for await (const event of client.events(first.id, { after: all[1].place })) rest.push(event.place);
  assert.deepEqual(rest, [3, 4]);
  assert.equal((await client.list({ workflow: 'once' })).data.length, 1);
  await assert.rejects(client.start('nothing'), (error) => error instanceof DougongError && error.code === 'not_found');
  assert.equal((await client.validate('name: x\nsteps: [{}]')).valid, false);
});

test('people, signals and steering', async (t) => {
  const { client } = await world(t, { f: () => 1 });
  await client.deploy('name: gate\nsteps:\n- {id: ok, human: {ask: approve, prompt: "Go?"}}\n- {id: paid, wait: {signal: paid}}\n');
  const run = await client.start('gate');
  await client.approve(run.id, 'ok', { by: 'ann' });
  await client.signal(run.id, 'paid', { amount: 3 });
  assert.deepEqual(await client.wait(run.id), { amount: 3 });
  const other = await client.start('gate');
  await client.pause(other.id, { why: 'later' });
  assert.equal((await client.get(other.id)).status, 'paused');
  await client.resume(other.id);
  await client.cancel(other.id);
  await assert.rejects(client.wait(other.id), (error) => error.status === 'cancelled');
});

test('a cancelled run stops its function', async (t) => {
  const began = later(), stopped = later();
  const { client, events } = await world(t, { long: (_, { signal }) => {
    began.resolve();
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => {
        stopped.resolve(signal.reason.code);
        reject(signal.reason);
      });
    });
  } });
  await client.deploy(flow('long', 'long'));
  const run = await client.start('long');
  await began.promise;
  await client.cancel(run.id);
  assert.equal(await stopped.promise, 'cancelled');
  assert.deepEqual(events, []);
});

test('stop lets what runs end and answers it', async (t) => {
  const began = later(), go = later();
  const { client, worker, running } = await world(t, { f: async () => {
    began.resolve();
    await go.promise;
    return 'whole';
  } });
  await client.deploy(flow('graceful', 'f'));
  const run = await client.start('graceful');
  await began.promise;
  const stopped = worker.stop();
  go.resolve();
  await stopped;
  await running;
  assert.equal(await client.wait(run.id), 'whole');
});

test('a server that is killed and comes back: the step is given again with its key', async (t) => {
  const keys = [], began = later(), unreachable = later();
  let blocked = true;
  const { server, client } = await world(t, { f: async (_, { idempotencyKey, signal }) => {
    keys.push(idempotencyKey);
    if (!blocked) return 'done';
    began.resolve();
    await new Promise((resolve) => { signal.addEventListener('abort', resolve); unreachable.promise.then(resolve); });
    return 'of the dead server';
  } }, { leaseMs: 300, onEvent: (kind) => { if (kind === 'unreachable') unreachable.resolve(); } });
  await client.deploy(flow('again', 'f'));
  const run = await client.start('again');
  await began.promise;
  await server.kill();
  await unreachable.promise;
  blocked = false;
  await server.start();
  assert.equal(await client.wait(run.id), 'done');
  assert.equal(keys.length, 2);
  assert.equal(keys[0], keys[1]);
});

test('a worker that is killed loses its lease, another one does the step', async (t) => {
  const { server, client, worker } = await world(t, { other: () => 1 });
  await client.deploy(flow('lost', 'f'));
  const script = `import { Worker } from ${JSON.stringify(path.join(ROOT, 'sdk/npm/src/index.js'))};
    await new Worker({ url: ${JSON.stringify(server.url)}, leaseMs: 300, name: 'doomed', steps: { q: { f: (_, c) => {
      console.log(c.idempotencyKey); return new Promise(() => {}); } } } }).run();`;
  const doomed = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const run = await client.start('lost');
  let key;
  for await (const line of readline.createInterface({ input: doomed.stdout })) { key = line; break; }
  doomed.kill('SIGKILL');
  const given = later();
  const heir = new Worker({ url: server.url, steps: { q: { f: (_, context) => { given.resolve(context); return 'mine'; } } } });
  const running = heir.run();
  assert.equal(await client.wait(run.id), 'mine');
  const context = await given.promise;
  assert.equal(context.giving, 2);
  assert.equal(context.attempt, 1);
  assert.equal(context.idempotencyKey, key);
  await heir.stop();
  await running;
  assert.ok(worker);
});

test('queues, priorities and schedules', async (t) => {
  const began = later(), go = later(), order = [];
  const { client } = await world(t, { async work({ n }) {
    order.push(n);
    began.resolve();
    await go.promise;
    return n;
  } });
  await client.deploy({ name: 'queued', queues: { one: { concurrency: 1 } },
    schedules: [{ name: 'rarely', cron: '0 0 1 1 *', input: { n: 9 } }],
    steps: [{ id: 's', queue: 'one', worker: { queue: 'q', function: 'work', arguments: '{{ input }}' } }] });
  const runs = [await client.start('queued', { input: { n: 0 } })];
  await began.promise;
  runs.push(await client.start('queued', { input: { n: 1 }, priority: 1 }));
  runs.push(await client.start('queued', { input: { n: 2 }, priority: 5 }));
  const [queue] = await client.queues();
  assert.deepEqual([queue.workflow, queue.queue, queue.running, queue.waiting], ['queued', 'one', 1, 2]);
  go.resolve();
  assert.deepEqual(await Promise.all(runs.map(({ id }) => client.wait(id))), [0, 1, 2]);
  assert.deepEqual(order, [0, 2, 1]);
  const [schedule] = await client.schedules();
  assert.deepEqual([schedule.workflow, schedule.name, schedule.paused], ['queued', 'rarely', false]);
  await client.schedule('queued', 'pause', { name: 'rarely' });
  assert.equal((await client.schedules())[0].paused, true);
  await client.schedule('queued', 'resume');
  assert.equal((await client.schedules())[0].paused, false);
  assert.equal(await client.wait((await client.schedule('queued', 'trigger')).id), 9);
  await assert.rejects(client.schedule('queued', 'pause', { name: 'never' }), (error) => error.code === 'not_found');
});

test('several servers share one worker', async (t) => {
  const servers = [await new Server(t).start(), await new Server(t).start()];
  const worker = new Worker({ url: servers.map((server) => server.url), steps: { q: { f: ({ n }) => n } }, concurrency: 3 });
  const running = worker.run();
  for (const server of servers) {
    const client = new Client({ url: server.url });
    await client.deploy(flow('shared', 'f'));
    assert.equal(await client.run('shared', { input: { n: 5 } }), 5);
    client.close();
  }
  await worker.stop();
  await running;
});

test('what is wrong is told before or at the first request', async (t) => {
  assert.throws(() => new Worker({ steps: {} }), TypeError);
  assert.throws(() => new Worker({ steps: { q: { f: 1 } } }), /steps\.q\.f/);
  assert.throws(() => new Client({ url: 'ftp://x' }), TypeError);
  const server = await new Server(t).start();
  await assert.rejects(new Worker({ url: server.url, tenant: 'a b', steps: { q: { f() {} } } }).run(),
    (error) => error instanceof DougongError && error.status === 400);
  const refusing = net.createServer((socket) => socket.destroy());
  await new Promise((resolve) => { refusing.listen(0, '127.0.0.1', resolve); });
  const nobody = new Client({ url: `http://127.0.0.1:${refusing.address().port}`, retries: 1 });
  await assert.rejects(nobody.get('run_x'), (error) => error.code === 'unavailable');
  refusing.close();
});
