// Chat against the served model: what it says does not matter here, how it arrives does.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { ask, getJson, sendable, slowLine, withPage } from "./harness.mjs";

export const cases = {
  "an answer streams in and shows its figures": (browser, base) =>
    withPage(browser, base, {}, async ({ page }) => {
      await sendable(page);
      await slowLine(page);
      await page.evaluate(() => {
        window.lengths = new Set();
        const look = () => window.lengths.add(document.querySelector(".answer .markdown")?.textContent.length ?? 0);
        new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
      });
      const answer = await ask(page, "Tell me a story about a little girl who finds a box.");
      const seen = await page.evaluate(() => [...window.lengths].filter((length) => length > 0));
      assert.ok(seen.length >= 3, `text grew in steps, not at once (lengths seen: ${seen})`);
      const figures = await answer.locator(".figures").innerText();
      assert.match(figures, /TTFT [\d.]+ m?s/);
      assert.match(figures, /[\d.,]+ tok\/s/);
      assert.match(figures, /\d+ prompt.* → [\d,]+ tokens/);
      assert.match(page.url(), /#\/chat\/[0-9a-f]{16}$/, "the conversation has an address");
    }),

  "stop ends the answer and frees the server": (browser, base) =>
    withPage(browser, base, { params: {} }, async ({ page }) => {
      await sendable(page);
      const fastLine = await slowLine(page);
      await page.locator("[data-composer]").fill("Once upon a time there was a very long road. Tell me all about it.");
      await page.keyboard.press("Enter");
      await page.locator(".answer.streaming .markdown").waitFor();
      await page.getByRole("button", { name: "Stop" }).click();
      const answer = page.locator(".answer[aria-busy=false]");
      await answer.waitFor();
      await fastLine();
      assert.match(await answer.locator(".figures").innerText(), /Stopped/);
      await page.locator("button[aria-label=Send]").waitFor();
      await page.waitForFunction(async () => (await (await fetch("/admin/v1/stats")).json()).running === 0);
    }),

  "edit, answer again, undo, delete and export": (browser, base) =>
    withPage(browser, base, {}, async ({ page }) => {
      await ask(page, "One fish");
      await ask(page, "Two fish");
      await page.locator(".question").first().hover();
      await page.locator(".question").first().getByLabel("Edit and resend").click();
      await page.getByRole("textbox", { name: "Edit and resend" }).fill("Red fish");
      await page.keyboard.press("Enter");
      await page.waitForFunction(() => document.querySelectorAll(".message").length === 2);
      await page.locator(".answer[aria-busy=false]").waitFor();
      assert.equal(await page.locator(".bubble").innerText(), "Red fish");
      await page.getByRole("button", { name: "Undo" }).click();
      await page.waitForFunction(() => document.querySelectorAll(".message").length === 4);

      await page.locator(".answer").last().getByLabel("Answer again").click();
      await page.locator(".answer").last().and(page.locator("[aria-busy=false]")).waitFor();
      assert.equal(await page.locator(".message").count(), 4);

      const [download] = await Promise.all([page.waitForEvent("download"), page.getByLabel("Export as Markdown").click()]);
      assert.match(await readFile(await download.path(), "utf8"), /^# .+\n\n## User\n\nOne fish\n/);

      await page.reload();
      await page.locator(".bubble").first().waitFor();
      assert.equal(await page.locator(".message").count(), 4, "the conversation survives a reload");
      await page.locator(".conversation").hover();
      await page.locator(".conversation").getByLabel(/^Delete/).click();
      await page.locator(".conversation").waitFor({ state: "detached" });
      await page.getByRole("button", { name: "Undo" }).click();
      await page.locator(".conversation").waitFor();
    }),

  "two tabs do not lose each other's conversations": (browser, base) =>
    withPage(browser, base, {}, async ({ page, context }) => {
      await sendable(page);
      const other = await context.newPage();
      await other.goto(base);
      await ask(other, "From the other tab");
      await page.locator(".conversation", { hasText: "From the other tab" }).waitFor();
      await ask(page, "From this tab");
      await other.locator(".conversation", { hasText: "From this tab" }).waitFor();
      await page.reload();
      await page.locator(".conversation").first().waitFor();
      assert.equal(await page.locator(".conversation").count(), 2);
    }),

  "parameters go into the request": (browser, base) =>
    withPage(browser, base, {}, async ({ page }) => {
      await sendable(page);
      await page.getByRole("button", { name: "Parameters" }).click();
      await page.getByLabel("max_tokens").fill("5");
      await page.getByLabel("temperature").fill("0");
      await page.getByLabel("seed").fill("7");
      await page.getByLabel("System prompt").fill("Speak plainly.");
      const [request] = await Promise.all([
        page.waitForRequest((candidate) => candidate.url().endsWith("/v1/chat/completions")),
        ask(page, "Hello"),
      ]);
      const body = request.postDataJSON();
      assert.equal(body.max_tokens, 5);
      assert.equal(body.temperature, 0);
      assert.equal(body.seed, 7);
      assert.equal(body.stream_options.include_usage, true);
      assert.deepEqual(body.messages.map((message) => message.role), ["system", "user"]);
      const tokens = /→ (\d+) tokens/.exec(await page.locator(".figures").innerText())?.[1];
      assert.ok(Number(tokens) <= 5, `at most 5 tokens came (${tokens})`);
      assert.ok((await getJson(page, "/admin/v1/stats")).completion_tokens_total > 0);
    }),
};
