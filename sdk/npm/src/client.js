// Workflows and runs of a server.
import { randomUUID } from 'node:crypto';

import { DougongError, Transport, backoffMs, sleep } from './transport.js';

/** A run that was waited for did not complete. */
export class RunFailedError extends Error {
  constructor(run, status, error) {
    super(`${run} is ${status}${error ? `: ${typeof error === 'string' ? error : error.message}` : ''}`);
    this.name = 'RunFailedError';
    this.run = run;
    this.status = status;
    this.code = error?.code;
  }
}

const END = new Map([['run_completed', 'completed'], ['run_failed', 'failed'], ['run_cancelled', 'cancelled']]);
const path = (...parts) => '/' + parts.map((part) => encodeURIComponent(part)).join('/');
const defined = (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));

export class Client {
  /** Options: url, tenant, apiKey, headers; retries: how often a request that may be repeated is. */
  constructor({ retries = 5, ...options } = {}) {
    this.transport = new Transport(options);
    this.retries = retries;
  }

  close() {
    this.transport.close();
  }

  /** Repeats what may be repeated while the server cannot be reached or is too busy. */
  async #again(ask, signal) {
    for (let attempt = 0; ; ++attempt) {
      try {
        return await ask();
      } catch (error) {
        const heals = error instanceof DougongError && (error.code === 'unavailable' || error.status === 429);
        if (!heals || attempt >= this.retries || signal?.aborted) throw error;
        await sleep(backoffMs(attempt), signal);
      }
    }
  }
  #get(where, signal) {
    return this.#again(() => this.transport.call('GET', where, { signal }), signal);
  }

  /** A workflow as YAML or JSON text, or as an object. The same again is no new version. */
  deploy(workflow, { file } = {}) {
    const text = typeof workflow === 'string' ? workflow : JSON.stringify(workflow);
    const json = typeof workflow !== 'string' || text.trimStart().startsWith('{');
    const query = file ? `?file=${encodeURIComponent(file)}` : '';
    return this.#again(() => this.transport.call('POST', `/v1/workflows${query}`, {
      body: text, type: json ? 'application/json' : 'application/yaml' }));
  }
  /** {valid, faults: [{line, column, path, message}]}; nothing is deployed. */
  validate(workflow, { file } = {}) {
    const text = typeof workflow === 'string' ? workflow : JSON.stringify(workflow);
    const json = typeof workflow !== 'string' || text.trimStart().startsWith('{');
    const query = file ? `&file=${encodeURIComponent(file)}` : '';
    return this.#again(() => this.transport.call('POST', `/v1/workflows?dry_run=true${query}`, {
      body: text, type: json ? 'application/json' : 'application/yaml' }));
  }
  async workflows() {
    return (await this.#get('/v1/workflows')).data;
  }
  workflow(name, { version } = {}) {
    return this.#get(path('v1', 'workflows', name) + (version ? `?version=${version}` : ''));
  }
  remove(name) {
    return this.transport.call('DELETE', path('v1', 'workflows', name));
  }

  /** Starts a run: {id, status, output?, error?}. A key is made when none is given, so that a start
   * that is repeated after a broken connection starts one run. */
  start(name, { input, labels, version, idempotencyKey = randomUUID(), waitMs, signal } = {}) {
    const json = defined({ input, labels, version, idempotency_key: idempotencyKey, wait_ms: waitMs });
    return this.#again(() => this.transport.call('POST', path('v1', 'workflows', name, 'runs'), { json, signal }), signal);
  }
  /** Starts a run and waits for its output. Throws RunFailedError. */
  async run(name, options = {}) {
    const run = await this.start(name, { waitMs: 60_000, ...options });
    if (run.status === 'completed') return run.output;
    if (run.status === 'running') return this.wait(run.id, options);
    throw new RunFailedError(run.id, run.status, run.error);
  }
  /** The output of a run, when it has completed. Throws RunFailedError. */
  async wait(run, { signal } = {}) {
    for await (const event of this.events(run, { signal })) {
      const status = END.get(event.event);
      if (status === 'completed') return event.value ?? null;
      if (status) throw new RunFailedError(run, status, event.error ?? event.name);
    }
    throw new DougongError(`stopped waiting for ${run}`, { code: 'cancelled' });
  }
  /** What happens to a run, the past first, to its end. A broken stream goes on where it was. */
  async* events(run, { after = 0, signal } = {}) {
    let last = after;
    for (let attempt = 0; !signal?.aborted; ++attempt) {
      try {
        for await (const event of this.transport.events(`${path('v1', 'runs', run)}/watch`, { lastEventId: last, signal })) {
          last = Number(event.id);
          attempt = 0;
          yield { ...event.data, place: last };
          if (END.has(event.data.event)) return;
        }
      } catch (error) {
        if (signal?.aborted) return;
        if (error instanceof DougongError && error.code !== 'unavailable') throw error;
        if (attempt >= this.retries) throw error;
      }
      await sleep(backoffMs(attempt), signal);
    }
  }
  get(run) {
    return this.#get(path('v1', 'runs', run));
  }
  /** Heads, the newest first: {data, has_more, next}. Filter: workflow, status, waiting, text, parent, after, limit. */
  list(filter = {}) {
    return this.#get(`/v1/runs?${new URLSearchParams(defined(filter))}`);
  }

  signal(run, name, payload = null) {
    return this.transport.call('POST', path('v1', 'runs', run, 'signals', name), { json: payload });
  }
  /** Answers a step that waits for a person: decision approved, rejected or answered. */
  answer(run, step, { decision, answer, by } = {}) {
    return this.transport.call('POST', path('v1', 'runs', run, 'answer'), { json: defined({ step, decision, answer, by }) });
  }
  approve(run, step, options = {}) {
    return this.answer(run, step, { ...options, decision: 'approved' });
  }
  reject(run, step, options = {}) {
    return this.answer(run, step, { ...options, decision: 'rejected' });
  }
  pause(run, { why, by } = {}) {
    return this.transport.call('POST', path('v1', 'runs', run, 'pause'), { json: defined({ why, by }) });
  }
  resume(run, { by } = {}) {
    return this.transport.call('POST', path('v1', 'runs', run, 'resume'), { json: defined({ by }) });
  }
  cancel(run, { why } = {}) {
    return this.transport.call('POST', path('v1', 'runs', run, 'cancel'), { json: defined({ why }) });
  }
  retry(run, step, { by } = {}) {
    return this.transport.call('POST', path('v1', 'runs', run, 'retry'), { json: defined({ step, by }) });
  }
  /** Tells every run of the tenant that waits for this event. */
  publish(event, payload = null) {
    return this.transport.call('POST', path('v1', 'events', event), { json: payload });
  }
  workers() {
    return this.#get('/v1/workers');
  }
}
