// Models, live, requests, system: what they show must be what the server says.
import assert from "node:assert/strict";
import { ask, axeFaults, getJson, sendable, withPage } from "./harness.mjs";

/** Pixels of a canvas that are neither clear nor grey: what the lines painted. */
function colouredPixels(canvas) {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let at = 0; at < data.length; at += 4) {
    const spread = Math.max(data[at], data[at + 1], data[at + 2]) - Math.min(data[at], data[at + 1], data[at + 2]);
    if (data[at + 3] > 200 && spread > 40) count += 1;
  }
  return count;
}

/** Makes a sandbox and opens it; false on a host that can make none, where the screen says why. */
async function openBox(page) {
  await page.locator(".page table, .failure").first().waitFor();
  if (await page.locator(".failure").count()) return false;
  await page.getByRole("button", { name: "New sandbox" }).click();
  await page.locator(".sandbox-output").waitFor();
  return true;
}

async function endBox(page) {
  await page.getByRole("button", { name: "End", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "End", exact: true }).click();
  await page.getByRole("button", { name: "New sandbox" }).waitFor();
}

export const cases = {
  "models are listed and one opens by its address": (browser, base) =>
    withPage(browser, base, { hash: "#/models" }, async ({ page }) => {
      await page.locator(".model-card").first().waitFor();
      const { models } = await getJson(page, "/admin/v1/models");
      const shown = await page.locator(".model-card h2").allInnerTexts();
      assert.deepEqual(shown, models.map((model) => model.id));
      await page.locator(".model-card a").first().click();
      await page.waitForFunction((id) => document.querySelector("main h1")?.textContent === id, models[0].id);
      assert.ok(page.url().endsWith(`#/models/${encodeURIComponent(models[0].id)}`));
      const facts = await page.locator(".facts").first().innerText();
      assert.ok(facts.includes(models[0].context_tokens.toLocaleString("en-US")), "the context size is shown");
      await page.reload();
      await page.waitForFunction((id) => document.querySelector("main h1")?.textContent === id, models[0].id);
    }),

  "charts draw and move with the stream": (browser, base) =>
    withPage(browser, base, {}, async ({ page }) => {
      await ask(page, "Say hello.");
      await page.goto(`${base}#/live`);
      const canvas = page.locator(".chart canvas").first();
      await canvas.waitFor();
      const newest = () => canvas.getAttribute("data-newest");
      const first = await newest();
      await page.waitForFunction((before) => Number(document.querySelector(".chart canvas").dataset.newest) > Number(before), first);
      assert.equal(await page.locator(".chart").count(), 9);
      await page.waitForFunction(() => [...document.querySelectorAll(".chart canvas")].every((each) => each.width > 0));
      assert.ok((await canvas.evaluate(colouredPixels)) > 30, "the throughput chart has a line");
      assert.match(await canvas.getAttribute("aria-label"), /Decode [\d.,]+, Prefill [\d.,]+/);
      const last = await getJson(page, "/admin/v1/stats");
      const memory = await page.locator(".tile", { hasText: "Memory" }).innerText();
      assert.ok(last.rss_bytes > 0 && /[\d.]+ [KMG]iB/.test(memory), memory);
    }),

  "the engine screen shows pages, batch, gaps and models": (browser, base) =>
    withPage(browser, base, {}, async ({ page }) => {
      await ask(page, "Say hello.");
      await page.goto(`${base}#/engine`);
      const canvas = page.locator(".chart canvas").first();
      await canvas.waitFor();
      assert.equal(await page.locator(".chart").count(), 6);
      const { running_max, kv_pages_total } = await getJson(page, "/admin/v1/stats");
      assert.ok(running_max > 0 && kv_pages_total > 0, "the server says its limits");
      const shown = (await page.locator(".page-bar-track").getAttribute("aria-label")).match(/\d+/g).map(Number);
      assert.equal(shown.reduce((sum, part) => sum + part, 0), kv_pages_total, "the bar is all pages");
      assert.ok((await page.locator(".tile", { hasText: "Batch" }).innerText()).includes(`/ ${running_max}`));
      const { models } = await getJson(page, "/admin/v1/models");
      const rows = await page.locator("table tbody tr td:first-child").allInnerTexts();
      assert.deepEqual(rows, models.map((model) => model.id));
      assert.match(await page.locator("table tbody tr").first().innerText(), /ready/);
    }),

  "a request appears in the log with its waterfall": (browser, base) =>
    withPage(browser, base, { hash: "#/requests" }, async ({ page, context }) => {
      const other = await context.newPage(); // another client, while the log is being watched
      await other.goto(base);
      const before = (await getJson(page, "/admin/v1/requests?limit=1")).requests[0]?.id ?? "";
      await ask(other, "Why is the sky blue?");
      await other.close();
      const { requests } = await getJson(page, "/admin/v1/requests?limit=5");
      const mine = requests.find((request) => request.path === "/v1/chat/completions" && request.id !== before);
      assert.ok(mine, "the server logged the chat request");

      await page.locator(".filter-text").fill(mine.id); // the live tail brings the row
      const row = page.locator(".log-space .log-row");
      await row.first().waitFor();
      assert.match(await row.first().innerText(), /200[\s\S]*\/v1\/chat\/completions/);
      await page.locator(".log").focus();
      await page.keyboard.press("Enter");
      await page.locator(".waterfall-bar").first().waitFor();
      for (const phase of ["prefill", "decode"]) {
        const width = await page.locator(`.span-${phase}`).evaluate((bar) => bar.getBoundingClientRect().width);
        assert.ok(width >= 2, `${phase} has a bar`);
      }
      assert.match(await page.locator(".drawer").innerText(), /curl/);
      await page.keyboard.press("Escape");
      await page.locator(".drawer").waitFor({ state: "detached" });
      await page.goto(`${base}#/requests/${mine.id}`);
      await page.locator(".waterfall-bar").first().waitFor();
    }),

  "filters narrow the log and live in the address": (browser, base) =>
    withPage(browser, base, { hash: "#/requests?q=no-such-request-anywhere" }, async ({ page }) => {
      await page.waitForFunction(() => /^0 of \d/.test(document.querySelector(".filters [role=status]")?.textContent ?? ""));
      await page.locator(".filter-text").fill("");
      await page.getByRole("button", { name: "Failed" }).click();
      assert.match(page.url(), /#\/requests\?status=error$/);
    }),

  "a memory is written, found, removed and brought back": (browser, base) =>
    withPage(browser, base, { hash: "#/memory" }, async ({ page }) => {
      await page.locator(".empty, .hits").first().waitFor();
      await page.getByRole("button", { name: "Remember" }).click();
      const dialog = page.getByRole("dialog");
      await dialog.getByLabel("What to remember").fill("Ann is allergic to walnuts");
      await dialog.getByLabel("User").fill("ann");
      await dialog.getByRole("button", { name: "Save" }).click();
      await page.locator(".drawer .memory-content", { hasText: "walnuts" }).waitFor();
      await page.locator(".hits .hit", { hasText: "walnuts" }).waitFor();

      await page.getByRole("searchbox", { name: "Ask, or search words" }).fill("Which nuts is Ann allergic to?");
      await page.locator(".hit mark", { hasText: "allergic" }).waitFor();
      assert.match(page.url(), /#\/memory\/mem-.*[?&]q=Which/);
      await page.locator(".score-parts", { hasText: "words" }).first().waitFor();
      assert.deepEqual(await axeFaults(page), []);

      await page.getByRole("button", { name: "Pin" }).click();
      await page.getByRole("button", { name: "Unpin" }).waitFor();
      await page.getByRole("button", { name: "Remove" }).click();
      await page.locator(".drawer").waitFor({ state: "detached" });
      await page.locator(".hit", { hasText: "walnuts" }).waitFor({ state: "detached" });
      await page.getByRole("button", { name: "Undo" }).click();
      await page.locator(".hit", { hasText: "walnuts" }).waitFor();
      await page.locator(".hit-head", { hasText: "walnuts" }).click();
      await page.locator(".versions", { hasText: "restored" }).waitFor(); // what was known is shown first
      assert.match(await page.locator(".versions").innerText(), /restored[\s\S]*removed[\s\S]*updated[\s\S]*added/);
    }),

  "facts are read out of memories and drawn": (browser, base) =>
    withPage(browser, base, { hash: "#/facts" }, async ({ page }) => {
      await page.locator(".empty, .facts-table").first().waitFor();
      await page.evaluate(() => fetch("/v1/memories", { method: "POST", body: JSON.stringify({ content: "I live in Utrecht. I work at Acme.", user: "Grace" }) }));
      for (let tries = 0; tries < 200; ++tries) {
        if ((await getJson(page, "/v1/facts?subject=Grace")).data.length === 2) break;
        await page.waitForTimeout(100);
      }
      await page.getByRole("searchbox").fill("Grace");
      await page.keyboard.press("Enter");
      await page.locator(".fact-graph .fact-node", { hasText: "Utrecht" }).waitFor();
      assert.match(page.url(), /#\/facts\/Grace$/);
      assert.deepEqual(await axeFaults(page), []);
      await page.locator(".fact-graph .fact-node", { hasText: "Acme" }).locator("circle").click();
      await page.locator(".fact-graph .fact-node.middle", { hasText: "Acme" }).waitFor();
      await page.goBack();
      await page.locator(".facts-table a").first().click();
      await page.locator(".drawer .memory-content", { hasText: "Utrecht" }).waitFor();
    }),

  "a session's cells know each other, and a fork knows them, too": (browser, base) =>
    withPage(browser, base, { hash: "#/sandboxes" }, async ({ page }) => {
      if (!(await openBox(page))) return;
      await page.getByRole("button", { name: "Sessions" }).click();
      await page.locator(".empty").waitFor();
      await page.getByRole("button", { name: "Open a session" }).click();
      const code = page.getByLabel("Code of a cell");
      const run = async (text, answer) => {
        await code.fill(text);
        await page.keyboard.press("Control+Enter");
        await page.locator(".cell .sandbox-output", { hasText: answer }).waitFor();
      };
      await run("x = 20", "");
      await run("print('seen'); x + 1", /seen[\s\S]*21/);
      await run("1 / 0", "ZeroDivisionError");
      assert.deepEqual(await axeFaults(page), []);
      await page.getByRole("button", { name: "Fork" }).click();
      await page.getByRole("button", { name: /python \d+ ←/ }).waitFor();
      await run("x * 100", "2000");
      await endBox(page);
    }),

  "a sandbox is made, runs a line and ends": (browser, base) =>
    withPage(browser, base, { hash: "#/sandboxes" }, async ({ page }) => {
      await page.locator(".page table, .failure").first().waitFor();
      if (await page.locator(".failure").count()) {
        // This host cannot make any: the screen says why, in the server's words.
        assert.ok((await page.locator(".failure .mono").innerText()).length > 0);
        return;
      }
      await page.getByRole("button", { name: "New sandbox" }).click();
      await page.locator(".sandbox-output").waitFor();
      await page.getByLabel("Shell line to run in the sandbox").fill("echo out; echo err >&2; exit 3");
      await page.keyboard.press("Enter");
      await page.locator(".output-err", { hasText: "err" }).waitFor();
      await page.getByText("exited, status 3").waitFor();
      assert.match(await page.locator(".sandbox-output").innerText(), /out/);
      await page.getByRole("button", { name: "Pause" }).click();
      await page.getByRole("button", { name: "Resume" }).click();
      await page.getByRole("button", { name: "Pause" }).waitFor();
      await endBox(page);
    }),

  "a sandbox's terminal is a real one": (browser, base) =>
    withPage(browser, base, { hash: "#/sandboxes" }, async ({ page }) => {
      if (!(await openBox(page))) return;
      await page.getByRole("button", { name: "Terminal" }).click();
      const keys = page.getByLabel("Keys for the terminal");
      await page.waitForFunction(() => document.activeElement?.classList.contains("vt-input"));
      await keys.pressSequentially("echo typed-$((6*7)); printf '\\033[31mred\\033[0m\\n'");
      await page.keyboard.press("Enter");
      await page.locator(".vt-screen", { hasText: "typed-42" }).waitFor();
      await page.locator(".vt-screen span", { hasText: /^red$/ }).waitFor();
      const colour = await page.locator(".vt-screen span", { hasText: /^red$/ }).evaluate((span) => getComputedStyle(span).color);
      assert.notEqual(colour, await page.locator(".vt").evaluate((box) => getComputedStyle(box).color), "red is no plain ink");
      await keys.pressSequentially("sleep 1000");
      await page.keyboard.press("Enter");
      await page.keyboard.press("Control+c");
      await keys.pressSequentially("stty size; exit 4");
      await page.keyboard.press("Enter");
      await page.getByText("Ended: exited, status 4.").waitFor();
      assert.match(await page.locator(".vt-screen").innerText(), /24 \d+/);
      assert.deepEqual(await axeFaults(page), []);
      await endBox(page);
    }),

  "a sandbox's files go in, are seen, come out and are deleted": (browser, base) =>
    withPage(browser, base, { hash: "#/sandboxes" }, async ({ page }) => {
      if (!(await openBox(page))) return;
      await page.getByLabel("Shell line to run in the sandbox").fill("mkdir -p 'a folder/deep' && echo inside > 'a folder/deep/文.txt'");
      await page.keyboard.press("Enter");
      await page.getByText("exited, status 0").waitFor();
      await page.getByRole("button", { name: "Files" }).click();
      await page.getByRole("button", { name: "a folder/" }).click();
      await page.getByRole("button", { name: "deep/" }).click();
      await page.getByRole("button", { name: "文.txt" }).click();
      await page.locator(".file-view pre", { hasText: "inside" }).waitFor();
      assert.deepEqual(await axeFaults(page), []);
      await page.locator("[data-upload]").setInputFiles({ name: "up #1.bin", mimeType: "", buffer: Buffer.from([0, 1, 2, 255]) });
      await page.getByRole("button", { name: "up #1.bin" }).click();
      await page.getByText("This is not text").waitFor();
      const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download" }).click()]);
      const { readFile } = await import("node:fs/promises");
      assert.deepEqual([...(await readFile(await download.path()))], [0, 1, 2, 255]);
      await page.getByRole("button", { name: "Delete" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
      await page.getByRole("button", { name: "up #1.bin" }).waitFor({ state: "detached" });
      await endBox(page);
    }),

  "a sandbox's log, decisions and snapshots say what there is": (browser, base) =>
    withPage(browser, base, { hash: "#/sandboxes" }, async ({ page, guard }) => {
      guard.ignoring = /Failed to load resource/; // a server may keep no audit and no snapshots
      if (!(await openBox(page))) return;
      await page.getByLabel("Shell line to run in the sandbox").fill("echo logged; exit 6");
      await page.keyboard.press("Enter");
      await page.getByText("exited, status 6").waitFor();
      await page.getByRole("button", { name: "Logs" }).click();
      await page.locator(".log-entry", { hasText: "logged" }).waitFor();
      await page.locator(".log-entry .badge-bad", { hasText: "exit 6" }).waitFor();
      const { id } = (await getJson(page, "/v1/sandboxes")).data[0];
      await page.evaluate((path) => fetch(path, { method: "POST", body: JSON.stringify({ argv: ["echo", "by another"] }) }), `/v1/sandboxes/${id}/exec`);
      await page.locator(".log-entry", { hasText: "by another" }).waitFor();
      assert.deepEqual(await axeFaults(page), []);
      for (const view of ["Decisions", "Snapshots"]) {
        await page.getByRole("button", { name: view }).click();
        await page.locator(".card .empty, .card table, .card .failure").first().waitFor();
        assert.deepEqual(await axeFaults(page), [], view);
      }
      await endBox(page);
    }),

  "system shows version and configuration": (browser, base) =>
    withPage(browser, base, { hash: "#/system" }, async ({ page }) => {
      await page.locator(".config tbody tr").first().waitFor();
      const { version } = await getJson(page, "/admin/v1/system");
      assert.ok((await page.locator(".facts").first().innerText()).includes(version));
      const rows = await page.locator(".config tbody tr").count();
      await page.getByPlaceholder("Filter settings").fill("zzz-no-such-setting");
      assert.ok(rows > 0);
      assert.equal(await page.locator(".config tbody tr").count(), 0);
    }),

  "a server that is away is said so, and coming back is noticed": (browser, base) =>
    withPage(browser, base, {}, async ({ page, guard }) => {
      guard.ignoring = /ERR_FAILED|Failed to load resource/;
      await page.route("**/admin/**", (route) => route.abort());
      await page.reload();
      const banner = page.locator(".banner");
      await banner.waitFor();
      assert.match(await banner.innerText(), /does not answer/);
      await page.unroute("**/admin/**");
      await banner.getByRole("button").click();
      await banner.waitFor({ state: "detached" });
      await sendable(page); // what could not be fetched is fetched without a reload
    }),
};
