#!/usr/bin/env node
// End-to-end test of the console in a real browser against a running server.
//   node tests/e2e/console/run.mjs URL [--only TEXT] [--screenshot FILE]
// Exit status: 0 all passed, 1 some failed, 2 wrong usage. CHROMIUM names another browser program.
import { parseArgs } from "node:util";
import { cases as chat } from "./chat.mjs";
import { launch } from "./harness.mjs";
import { cases as flows } from "./flows.mjs";
import { cases as keyboard } from "./keyboard.mjs";
import { cases as look, screenshot } from "./look.mjs";
import { cases as screens } from "./screens.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { only: { type: "string", default: "" }, screenshot: { type: "string" } },
});
if (positionals.length !== 1 || !URL.canParse(positionals[0])) {
  console.error("usage: run.mjs URL [--only TEXT] [--screenshot FILE]   e.g. run.mjs http://127.0.0.1:8080");
  process.exit(2);
}
const base = new URL("/", positionals[0]).href;
const chosen = Object.entries({ ...chat, ...screens, ...flows, ...keyboard, ...look }).filter(([name]) => name.includes(values.only));

const browser = await launch();
let failures = 0;
try {
  for (const [name, run] of chosen) {
    const begun = Date.now();
    try {
      await run(browser, base);
      console.log(`ok    ${name} (${Date.now() - begun} ms)`);
    } catch (error) {
      failures += 1;
      console.log(`FAIL  ${name}\n${String(error.stack ?? error).replace(/^/gm, "      ")}`);
    }
  }
  if (values.screenshot && failures === 0) await screenshot(browser, base, values.screenshot);
} finally {
  await browser.close();
}
console.log(`console: ${chosen.length - failures} of ${chosen.length} cases passed`);
process.exit(failures || chosen.length === 0 ? 1 : 0);
