#!/usr/bin/env node
// What the console's goals about workflows are measured with:
//   node bench/console/flows.mjs layout           a graph of 1,000 steps, laid out
//   node bench/console/flows.mjs seed URL [N]     N runs (100,000) on a server, for the next one
//   node bench/console/flows.mjs scroll URL       frames while the list of runs is scrolled to its end
//   node bench/console/flows.mjs load URL         until the console can be used, CPU slowed fourfold
// `npm ci` in console/ first. Prints one line of JSON each.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const require = createRequire(new URL("../../console/package.json", import.meta.url));
const [what, url, count = "100000"] = process.argv.slice(2);
const print = (figures) => console.log(JSON.stringify({ what, ...figures }));
const at = (sorted, share) => Number(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))].toFixed(2));
const summary = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: at(sorted, 0.5), p95: at(sorted, 0.95), max: at(sorted, 1) };
};

async function layout() {
  const { transformSync } = require("esbuild");
  const source = readFileSync(fileURLToPath(new URL("../../console/src/flows/layout.ts", import.meta.url)), "utf8");
  const { code } = transformSync(source, { loader: "ts", format: "esm" });
  const { layOut } = await import(`data:text/javascript,${encodeURIComponent(code)}`);
  let state = 7;
  const below = (n) => Math.floor(((state = (Math.imul(state, 1103515245) + 12345) >>> 0) / 2 ** 32) * n);
  const nodes = Array.from({ length: 1000 }, (_, n) => ({ id: `s${n}`, kind: "set", title: `s${n}`, outer: "", arm: "", conditional: false, line: n }));
  const edges = [];
  for (let n = 1; n < 1000; n += 1) {
    for (const back of new Set([1 + below(30), 1 + below(30)])) if (n >= back) edges.push({ from: `s${n - back}`, to: `s${n}`, kind: "after", label: "" });
  }
  const times = [];
  for (let round = 0; round < 21; round += 1) {
    const begun = performance.now();
    layOut({ name: "bench", nodes, edges }, new Set());
    times.push(performance.now() - begun);
  }
  print({ steps: nodes.length, edges: edges.length, first_ms: Number(times[0].toFixed(2)), ms: summary(times.slice(1)) });
}

async function seed() {
  const send = (path, body, type) => fetch(new URL(path, url), { method: "POST", headers: { "Content-Type": type }, body });
  await send("/v1/workflows", "name: bench\nsteps: [{id: a, set: {x: 1}}]\n", "application/yaml");
  const begun = performance.now();
  let left = Number(count);
  const work = async () => {
    while (left-- > 0) {
      const response = await send("/v1/workflows/bench/runs", "{}", "application/json");
      if (!response.ok) throw new Error(await response.text());
      await response.arrayBuffer();
    }
  };
  await Promise.all(Array.from({ length: 64 }, work));
  print({ runs: Number(count), s: Number(((performance.now() - begun) / 1000).toFixed(1)) });
}

async function withPage(act) {
  const { chromium } = require("playwright-core");
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
  try {
    const page = await browser.newPage({ viewport: { width: 1360, height: 860 } });
    await act(page);
  } finally {
    await browser.close();
  }
}

const scroll = () => withPage(async (page) => {
  await page.goto(new URL("/#/runs", url).href);
  await page.locator(".runs .log-space .log-row").first().waitFor();
  const { total } = await page.evaluate(async () => (await fetch("/v1/runs/counts")).json());
  const found = await page.evaluate(() => new Promise((resolve) => {
    const list = document.querySelector(".runs");
    const space = list.querySelector(".log-space");
    const frames = [];
    let blank = 0;
    let still = 0;
    let before = performance.now();
    const begun = before;
    const frame = (now) => {
      frames.push(now - before);
      before = now;
      const top = list.scrollTop;
      list.scrollTop += 600; // sixteen rows a frame
      still = list.scrollTop === top ? still + 1 : 0;
      // A row at the middle of what is seen now?
      const middle = Math.floor((top + list.clientHeight / 2) / 38) - 1;
      if (top > 0 && !list.querySelector(`[data-index="${middle}"]`)) blank += 1;
      if (still > 240 || now - begun > 80_000) resolve({ frames, blank, rows: Math.round(space.clientHeight / 38), seconds: (now - begun) / 1000 });
      else requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }));
  const times = found.frames.slice(2);
  const seconds = times.reduce((sum, each) => sum + each, 0) / 1000;
  const slow = times.filter((each) => each > 1000 / 55 + 1).length;
  print({ total, rows: found.rows, frames: times.length, fps: Number((times.length / seconds).toFixed(1)), frame_ms: summary(times), slow_share: Number((slow / times.length).toFixed(4)), blank_frames: found.blank });
});

const load = () => withPage(async (page) => {
  const session = await page.context().newCDPSession(page);
  await session.send("Emulation.setCPUThrottlingRate", { rate: 4 });
  const times = { chat: [], runs: [] };
  for (let round = 0; round < 5; round += 1) {
    for (const [screen, ready] of [["chat", "[data-composer], .welcome"], ["runs", ".runs .log-space .log-row, .empty"]]) {
      await page.goto("about:blank");
      await session.send("Network.clearBrowserCache");
      const begun = performance.now();
      await page.goto(new URL(`/#/${screen}`, url).href, { waitUntil: "commit" });
      await page.locator(ready).first().waitFor();
      times[screen].push(performance.now() - begun);
    }
  }
  print({ chat_ms: summary(times.chat), runs_ms: summary(times.runs) });
});

const known = { layout, seed, scroll, load };
if (!known[what]) {
  console.error("usage: flows.mjs layout | seed URL [N] | scroll URL | load URL");
  process.exit(2);
}
await known[what]();
