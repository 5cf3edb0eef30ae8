// One server over kept connections: JSON in, JSON out, its errors as they are.
import http from 'node:http';
import https from 'node:https';

/** What a server said, or why it could not be asked (`code` "unavailable", `status` 0). */
export class DougongError extends Error {
  constructor(message, { code = 'internal', status = 0, param = null, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'DougongError';
    this.code = code;
    this.status = status;
    this.param = param;
  }
}

/** Half a doubling wait and half chance, in milliseconds. */
export function backoffMs(attempt, { firstMs = 100, mostMs = 5000 } = {}) {
  const most = Math.min(mostMs, firstMs * 2 ** Math.min(attempt, 20));
  return most / 2 + (Math.random() * most) / 2;
}

export function sleep(ms, signal) {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const over = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', over);
      resolve();
    };
    const timer = setTimeout(over, ms);
    signal?.addEventListener('abort', over);
  });
}

function errorOf(status, text) {
  try {
    const { error } = JSON.parse(text);
    return new DougongError(error.message, { code: error.code, status, param: error.param });
  } catch {
    return new DougongError(`the server answered ${status}: ${text.slice(0, 200)}`, {
      code: status >= 500 ? 'unavailable' : 'internal', status });
  }
}

export class Transport {
  /** `url`: of the server, with or without a path before /v1. */
  constructor({ url = 'http://127.0.0.1:8080', tenant, apiKey, headers = {} } = {}) {
    this.url = new URL(url);
    const secure = this.url.protocol === 'https:';
    if (!secure && this.url.protocol !== 'http:') {
      throw new TypeError(`url is '${url}', expected http:// or https://`);
    }
    this.prefix = this.url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '');
    this.library = secure ? https : http;
    this.agent = new this.library.Agent({ keepAlive: true, noDelay: true });
    this.headers = { ...headers };
    if (tenant) this.headers['x-dougong-tenant'] = tenant;
    if (apiKey) this.headers.authorization = `Bearer ${apiKey}`;
  }

  close() {
    this.agent.destroy();
  }

  /** The response as it comes. Rejects with DougongError when the server cannot be reached. */
  open(method, path, { body, type = 'application/json', headers, signal } = {}) {
    return new Promise((resolve, reject) => {
      const all = { ...this.headers, ...headers };
      if (body !== undefined) {
        all['content-type'] = type;
        all['content-length'] = Buffer.byteLength(body);
      }
      const request = this.library.request({
        host: this.url.hostname.replace(/^\[(.*)\]$/, '$1'), port: this.url.port || undefined, method,
        path: this.prefix + path, headers: all, agent: this.agent, signal }, resolve);
      request.on('error', (cause) => reject(new DougongError(
        `${this.url.origin} cannot be reached: ${cause.message}`,
        { code: signal?.aborted ? 'cancelled' : 'unavailable', cause })));
      request.end(body);
    });
  }

  /** The parsed answer. Rejects with DougongError for anything but a success. */
  async call(method, path, { json, body, type, headers, signal } = {}) {
    const response = await this.open(method, path, {
      body: json !== undefined ? JSON.stringify(json) : body, type, headers, signal });
    const text = await new Promise((resolve, reject) => {
      let all = '';
      response.setEncoding('utf8');
      response.on('data', (part) => { all += part; });
      response.on('end', () => resolve(all));
      response.on('error', (cause) => reject(new DougongError(
        `the connection to ${this.url.origin} broke: ${cause.message}`,
        { code: signal?.aborted ? 'cancelled' : 'unavailable', cause })));
    });
    if (response.statusCode >= 300) throw errorOf(response.statusCode, text);
    return text === '' ? undefined : JSON.parse(text);
  }

  /** Each server-sent event as {id, event, data (parsed)}, until the server ends the stream. */
  async* events(path, { lastEventId, signal } = {}) {
    const response = await this.open('GET', path, {
      headers: lastEventId ? { 'last-event-id': String(lastEventId) } : undefined, signal });
    response.setEncoding('utf8');
    if (response.statusCode >= 300) {
      let text = '';
      for await (const part of response) text += part;
      throw errorOf(response.statusCode, text);
    }
    let rest = '';
    for await (const part of response) {
      rest += part;
      for (let end; (end = rest.indexOf('\n\n')) >= 0; rest = rest.slice(end + 2)) {
        const event = {};
        for (const line of rest.slice(0, end).split('\n')) {
          const colon = line.indexOf(': ');
          if (colon > 0) event[line.slice(0, colon)] = line.slice(colon + 2);
        }
        if (event.data !== undefined) yield { ...event, data: JSON.parse(event.data) };
      }
    }
  }
}
