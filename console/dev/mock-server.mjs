// A stand-in for `dougong serve` while working on the console: same routes, made-up answers. It is
// for development and for trying the end-to-end test; it is never built in or shipped.
//   node dev/mock-server.mjs [port]        (0 or none: a free port; the URL is printed)
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { Simulation } from "./mock-simulation.mjs";

const dist = fileURLToPath(new URL("../dist/", import.meta.url));
const CSP = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";
const MIME = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml" };
const simulation = new Simulation();

function json(response, status, value) {
  response.writeHead(status, { "Content-Type": "application/json" });
  response.end(JSON.stringify(value));
}

const fail = (response, status, code, message) => json(response, status, { error: { message, type: code, code } });

function sse(response, headers = {}) {
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store", ...headers });
  return (value) => response.write(`data: ${typeof value === "string" ? value : JSON.stringify(value)}\n\n`);
}

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString());
}

async function chat(request, response) {
  const body = await bodyOf(request);
  const run = simulation.start(body, request.headers["user-agent"] ?? "");
  const send = sse(response, { "x-request-id": run.record.id });
  let gone = false;
  response.on("close", () => (gone = true));
  const chunk = (delta, finish = null) => ({
    id: run.record.id, object: "chat.completion.chunk", created: Math.floor(Date.now() / 1000), model: body.model,
    choices: [{ index: 0, delta, finish_reason: finish }],
  });
  send(chunk({ role: "assistant", content: "" }));
  for await (const text of run.pieces()) {
    if (gone) return run.finish("cancelled");
    send(chunk({ content: text }));
  }
  const { usage, timings, finish } = run.finish(null);
  send(chunk({}, finish));
  send({ ...chunk({}), choices: [], usage, timings });
  send("[DONE]");
  response.end();
}

function stream(response) {
  const send = sse(response);
  send(simulation.last());
  const stop = simulation.onSample(send);
  response.on("close", stop);
}

async function file(path, response) {
  const name = normalize(path === "/" ? "index.html" : path.slice(1));
  try {
    const bytes = await readFile(join(dist, name));
    response.writeHead(200, {
      "Content-Type": MIME[extname(name)] ?? "application/octet-stream",
      "Content-Security-Policy": CSP,
      "X-Content-Type-Options": "nosniff",
    });
    response.end(bytes);
  } catch {
    fail(response, 404, "not_found", `no such path: ${path}`);
  }
}

function route(request, response) {
  const url = new URL(request.url, "http://localhost");
  const path = url.pathname;
  if (request.method === "POST" && path === "/v1/chat/completions") return chat(request, response);
  if (path === "/admin/v1/stats") return json(response, 200, simulation.last());
  if (path === "/admin/v1/stats/history") return json(response, 200, { samples: simulation.samples });
  if (path === "/admin/v1/stats/stream") return stream(response);
  if (path === "/admin/v1/models") return json(response, 200, { models: simulation.models });
  const change = /^\/admin\/v1\/models\/([^/]+)\/(load|unload)$/.exec(path);
  if (request.method === "POST" && change) {
    const model = simulation.models.find((each) => each.id === decodeURIComponent(change[1]));
    if (!model) return fail(response, 404, "model_not_found", "no such model");
    model.state = change[2] === "load" ? "ready" : "unloaded";
    return json(response, 200, model);
  }
  if (path === "/v1/alarms") return json(response, 200, { object: "list", firing: 0, data: [], webhooks: [] });
  if (path === "/v1/models") return json(response, 200, { object: "list", data: simulation.models });
  if (path === "/admin/v1/system") return json(response, 200, simulation.system);
  if (path === "/admin/v1/requests") return json(response, 200, simulation.page(url.searchParams));
  if (path.startsWith("/admin/v1/requests/")) {
    const record = simulation.request(decodeURIComponent(path.slice("/admin/v1/requests/".length)));
    return record ? json(response, 200, record) : fail(response, 404, "not_found", "no such request; the last 1,000 are kept");
  }
  if (path === "/healthz") return json(response, 200, { status: "ok" });
  return file(path, response);
}

const server = createServer((request, response) => {
  Promise.resolve(route(request, response)).catch((error) => {
    if (!response.headersSent) fail(response, 400, "invalid_request", String(error));
    else response.destroy();
  });
});
server.listen(Number(process.argv[2] ?? 0), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}/`);
});
