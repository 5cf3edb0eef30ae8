// Starts Debian's Chromium and gives each case a fresh page under guard: any request to another
// origin, any break of the content security policy, any error in the page's console fails the case.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(new URL("../../../console/package.json", import.meta.url));
const { chromium } = require("playwright-core");
const axeSource = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

export const TIMEOUT_MS = 60_000; // a bound for a loaded machine, not an expectation

const ARGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

export async function launch() {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  return chromium.launch({ executablePath, args: ARGS }); // with a profile of its own, removed after
}

/** What a page did that the console must never do. */
class Guard {
  faults = [];
  ignoring = null; // a pattern of console errors that the case provokes

  constructor(page, origin) {
    page.on("request", (request) => {
      const url = new URL(request.url());
      const own = url.origin === origin || ["blob:", "data:"].includes(url.protocol);
      if (!own) this.faults.push(`request to another origin: ${url.href}`);
    });
    page.on("console", (message) => {
      if (message.type() !== "error" || this.ignoring?.test(message.text())) return;
      this.faults.push(`console error: ${message.text()} (${message.location().url})`);
    });
    page.on("pageerror", (error) => this.faults.push(`uncaught: ${error.stack ?? error}`));
  }

  check() {
    assert.deepEqual(this.faults, [], "the page stayed within its rules");
  }
}

/** Short answers: a slow model is not waited for, a small context is not filled. */
const SHORT = { max_tokens: 40 };

/** Runs `act` with an open page at `hash`, its chat parameters being `params`; checks the guard. */
export async function withPage(browser, base, options, act) {
  const { hash = "", params = SHORT, ...contextOptions } = options;
  const context = await browser.newContext({ viewport: { width: 1360, height: 860 }, locale: "en-US", acceptDownloads: true, ...contextOptions });
  context.setDefaultTimeout(TIMEOUT_MS);
  const page = await context.newPage();
  const guard = new Guard(page, new URL(base).origin);
  await page.exposeFunction("reportViolation", (text) => guard.faults.push(`content security policy: ${text}`));
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => {
      window.reportViolation(`${event.violatedDirective} blocked ${event.blockedURI}`);
    });
  });
  await page.addInitScript((chosen) => {
    if (!localStorage.getItem("dougong.params")) localStorage.setItem("dougong.params", JSON.stringify(chosen));
  }, params);
  try {
    const response = await page.goto(base + hash);
    assert.equal(response.status(), 200, `${base} answers`);
    await page.locator("main h1, main h2").first().waitFor({ state: "attached" });
    await act({ page, guard, context, response });
    guard.check();
  } finally {
    await context.close();
  }
}

/** Asks `text` and waits for the whole answer; gives the answer's locator. */
export async function ask(page, text) {
  const before = await page.locator(".answer").count();
  await sendable(page);
  await page.locator("[data-composer]").fill(text);
  await page.keyboard.press("Enter");
  const answer = page.locator(".answer").nth(before);
  await answer.and(page.locator("[aria-busy=false]")).waitFor();
  return answer;
}

/** A line so slow that any model's answer comes in pieces: about ten tokens a second. Gives the
 *  function that ends it. */
export async function slowLine(page) {
  const session = await page.context().newCDPSession(page);
  const set = (bytesPerSecond) =>
    session.send("Network.emulateNetworkConditions", {
      offline: false, latency: 0, downloadThroughput: bytesPerSecond, uploadThroughput: -1,
    });
  await set(3000);
  return () => set(-1);
}

/** Until the list of models is here there is nobody to ask. */
export async function sendable(page) {
  await page.waitForFunction(() => document.querySelector(".model-select")?.value);
}

/** Faults that axe finds, as readable lines. */
export async function axeFaults(page) {
  await page.evaluate(axeSource);
  const result = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return result.violations.map((fault) => {
    const where = fault.nodes.slice(0, 3).map((node) => `${node.target.join(" ")}: ${node.failureSummary?.split("\n")[1]?.trim()}`);
    return `[${fault.impact}] ${fault.id}: ${fault.help}\n      ${where.join("\n      ")}`;
  });
}

/** GET as JSON from the server, by the page. */
export function getJson(page, path) {
  return page.evaluate(async (url) => (await fetch(url)).json(), path);
}
