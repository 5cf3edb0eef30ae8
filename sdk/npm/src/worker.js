// A worker: takes calls of `worker` steps, runs functions, answers. One request carries what is
// done and asks for more; while it waits, what becomes done goes by a second one.
import { randomUUID } from 'node:crypto';
import os from 'node:os';
import { setImmediate as turn } from 'node:timers/promises';

import { DougongError, Transport, backoffMs, sleep } from './transport.js';

/** Fails a step with a code: `unavailable`, `deadline_exceeded` and `resource_exhausted` are tried
 * again unless the step's `retry.on` says otherwise; anything else thrown counts as `unavailable`. */
export class StepError extends Error {
  constructor(code, message) {
    super(message);
    this.name = 'StepError';
    this.code = code;
  }
}

const WAIT_MS = 20_000;
const RESULTS_MAX = 10_000;

function failure(task, error) {
  const code = error instanceof StepError ? error.code : 'unavailable';
  const message = String(error?.message ?? error).slice(0, 16_000);
  return JSON.stringify({ task, error: { code, message } });
}

/** What is between this worker and one server. */
class Link {
  constructor(worker, options) {
    this.worker = worker;
    this.transport = new Transport(options);
    this.running = new Map(); // task to its AbortController
    this.done = []; // results as JSON text
    this.asked = 0; // slots that a request on its way may fill
    this.reporting = false;
    this.failures = 0;
  }

  #body({ max, results, running }) {
    const { name, queuesText, leaseMs } = this.worker;
    let text = `{"worker":${JSON.stringify(name)}`;
    if (max > 0) text += `,"queues":${queuesText},"max":${max},"wait_ms":${WAIT_MS},"lease_ms":${leaseMs}`;
    if (results.length > 0) text += `,"results":[${results.join(',')}]`;
    if (running) text += `,"running":${JSON.stringify([...this.running.keys()])}`;
    return text + '}';
  }

  /** One request; false when it failed: then its results wait for the next. */
  async #exchange(request, signal) {
    const results = this.done.splice(0, RESULTS_MAX);
    const where = request.max > 0 ? 'take' : 'report';
    let answer;
    try {
      answer = await this.transport.call('POST', `/v1/workers/tasks/${where}`,
        { body: this.#body({ ...request, results }), signal });
    } catch (error) {
      if (error.status === 413 && results.length > 1) { // each by itself, at worst
        this.done.unshift(...results);
        for (const one of this.done.splice(0, results.length)) await this.#alone(one);
        return true;
      }
      if (error.status === 413 && results.length === 1) {
        const { task } = JSON.parse(results[0]);
        this.done.unshift(failure(task, new StepError('payload_too_large', 'the output is larger than the server takes')));
        return true;
      }
      this.done.unshift(...results);
      if (error.code === 'cancelled') return false;
      if (error.status >= 400 && error.status < 500 && error.status !== 429) {
        this.worker.fail(error);
        return false;
      }
      this.worker.tell('unreachable', { url: this.transport.url.origin, error });
      return false;
    }
    this.failures = 0;
    for (const one of answer.refused ?? []) {
      if (one.code !== 'already_exists') this.worker.tell('refused', one); // else it was sent twice
    }
    for (const one of answer.stop ?? []) this.running.get(one.task)?.abort(new StepError(one.code, one.message));
    for (const task of answer.tasks) this.#begin(task);
    if (answer.draining) {
      this.worker.tell('draining', { url: this.transport.url.origin });
      await sleep(1000, this.worker.stopping.signal);
    }
    return true;
  }
  async #alone(result) {
    const rest = this.done;
    this.done = [result];
    const sent = await this.#exchange({ max: 0 });
    this.done = [...this.done, ...rest];
    return sent;
  }

  #begin(task) {
    const controller = new AbortController();
    this.running.set(task.task, controller);
    const context = {
      signal: controller.signal, task: task.task, run: task.run, workflow: task.workflow, version: task.version,
      step: task.step, attempt: task.attempt, giving: task.giving, idempotencyKey: task.idempotency_key,
      queue: task.queue, function: task.function, deadline: task.deadline_unix_ms,
      used: undefined, usage(used) { this.used = used; } };
    const ended = (text) => {
      this.running.delete(task.task);
      if (text !== undefined) this.done.push(text);
      this.worker.wake();
      if (this.asked > 0) this.report();
    };
    const good = (output) => {
      if (controller.signal.aborted) return ended();
      let text;
      try {
        text = `{"task":"${task.task}","output":${JSON.stringify(output) ?? 'null'}`;
      } catch (error) {
        return ended(failure(task.task, new StepError('invalid_argument', `the output is no JSON: ${error.message}`)));
      }
      if (context.used?.tokens) text += `,"tokens":${Math.trunc(context.used.tokens)}`;
      if (context.used?.costUsd) text += `,"cost_usd":${Number(context.used.costUsd)}`;
      ended(text + '}');
    };
    const bad = (error) => ended(controller.signal.aborted ? undefined : failure(task.task, error));
    try {
      const handler = this.worker.steps[task.queue]?.[task.function];
      const output = handler(task.arguments, context);
      if (typeof output?.then === 'function') output.then(good, bad);
      else good(output);
    } catch (error) {
      bad(error);
    }
  }

  /** Sends what is done while a request for more waits. */
  async report(running = false) {
    if (this.reporting) return;
    this.reporting = true;
    await turn(); // what ends in the same moment goes along
    while (this.done.length > 0 || running) {
      const sent = await this.#exchange({ max: 0, running: running && this.running.size > 0 });
      running = false;
      if (!sent) {
        if (this.worker.failed) break;
        await sleep(backoffMs(this.failures++));
        if (this.worker.abandoned) break;
      }
    }
    this.reporting = false;
  }

  async loop() {
    const stop = this.worker.stopping.signal;
    while (!stop.aborted) {
      const max = this.worker.free(this);
      if (max <= 0 && this.done.length === 0) {
        await this.worker.woken();
        continue;
      }
      this.asked = max;
      const sent = await this.#exchange({ max }, stop);
      this.asked = 0;
      if (sent) await turn(); // quick functions are done now, and go with the next request
      else if (!stop.aborted) await sleep(backoffMs(this.failures++), stop);
    }
  }
}

export class Worker {
  /**
   * steps: {queue: {function: (arguments, context) => output}}; url: one server or several;
   * concurrency: functions at once; leaseMs: after so long without a sign of life another worker
   * gets the task; onEvent(kind, detail): "unreachable", "refused", "draining".
   */
  constructor({ steps, url = 'http://127.0.0.1:8080', concurrency = 32, leaseMs = 30_000,
    name = `${os.hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`, onEvent = () => {}, ...options }) {
    if (!steps || Object.keys(steps).length === 0) throw new TypeError('a worker needs `steps`: {queue: {function: handler}}');
    for (const [queue, functions] of Object.entries(steps)) {
      for (const [called, handler] of Object.entries(functions)) {
        if (typeof handler !== 'function') throw new TypeError(`steps.${queue}.${called} is no function`);
      }
      if (Object.keys(functions).length === 0) throw new TypeError(`steps.${queue} has no function`);
    }
    this.steps = steps;
    this.name = name;
    this.concurrency = concurrency;
    this.leaseMs = leaseMs;
    this.tell = onEvent;
    this.queuesText = JSON.stringify(Object.fromEntries(
      Object.entries(steps).map(([queue, functions]) => [queue, Object.keys(functions)])));
    this.stopping = new AbortController();
    this.abandoned = false;
    this.links = [url].flat().map((one) => new Link(this, { ...options, url: one }));
    this.sleepers = [];
    this.over = new Promise((resolve) => { this.finished = resolve; });
  }

  free(link) {
    const used = this.links.reduce((sum, one) => sum + one.running.size + (one === link ? 0 : one.asked), 0);
    const free = this.concurrency - used;
    const idle = this.links.filter((one) => one === link || one.asked === 0).length;
    return Math.min(1000, Math.ceil(free / idle));
  }
  wake() {
    for (const sleeper of this.sleepers.splice(0)) sleeper();
  }
  woken() {
    return new Promise((resolve) => {
      if (this.stopping.signal.aborted) return resolve();
      this.sleepers.push(resolve);
    });
  }
  fail(error) {
    this.failed = error;
    this.stopping.abort();
    this.wake();
  }

  /** Works until stop(). Throws what a server refuses for good: a wrong tenant, a wrong name. */
  async run() {
    this.started = true;
    const beat = setInterval(() => {
      for (const link of this.links) if (link.running.size > 0) link.report(true);
    }, this.leaseMs / 3);
    try {
      await Promise.all(this.links.map((link) => link.loop()));
      while (!this.abandoned && this.links.some((link) => link.running.size > 0)) {
        await new Promise((resolve) => { this.sleepers.push(resolve); });
      }
      await Promise.all(this.links.map(async (link) => {
        do await link.report(); while (link.reporting && !this.abandoned && !this.failed && await turn(true));
      }));
    } finally {
      clearInterval(beat);
      for (const link of this.links) link.transport.close();
      this.finished();
    }
    if (this.failed) throw this.failed;
  }

  /** Takes no more; what runs may end, for at most `timeoutMs`, and is answered. */
  async stop({ timeoutMs = 30_000 } = {}) {
    this.stopping.abort();
    this.wake();
    const timer = setTimeout(() => {
      this.abandoned = true;
      for (const link of this.links) {
        for (const controller of link.running.values()) controller.abort(new StepError('cancelled', 'the worker stops'));
      }
      this.wake();
    }, timeoutMs);
    if (this.started) await this.over;
    clearTimeout(timer);
  }
}
