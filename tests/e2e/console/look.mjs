// Themes, languages, narrow screens, accessibility, and the one picture kept for the README.
import assert from "node:assert/strict";
import { ask, axeFaults, getJson, withPage } from "./harness.mjs";

const SCREENS = ["chat", "models", "live", "engine", "requests", "sandboxes", "memory", "facts", "runs", "workflows", "journal", "system"];

/** 0 black to 1 white: how bright the page's background is. */
const brightness = (page) =>
  page.evaluate(() => {
    const [red, green, blue] = getComputedStyle(document.body).backgroundColor.match(/[\d.]+/g).map(Number);
    return (red + green + blue) / 765;
  });

const settled = {
  chat: ".welcome",
  models: ".model-card",
  live: ".chart canvas[data-newest]",
  engine: ".page-bar-track",
  requests: ".log, .empty",
  sandboxes: ".page table, .failure",
  memory: ".empty, .hits, .failure",
  facts: ".empty, .facts-table, .failure",
  runs: ".runs, .empty, .failure",
  workflows: ".flow-table, .empty, .failure",
  journal: ".chart canvas[data-newest], .failure",
  system: ".config tbody tr",
};

async function openScreen(page, base, screen) {
  await page.goto(`${base}#/${screen}`);
  await page.locator(settled[screen]).first().waitFor();
}

const accessible = (colorScheme) => (browser, base) =>
  withPage(browser, base, { colorScheme }, async ({ page }) => {
    const found = [];
    const check = async (where) => found.push(...(await axeFaults(page)).map((fault) => `${where} ${fault}`));
    for (const screen of SCREENS) {
      await openScreen(page, base, screen);
      await check(screen);
    }
    const { models } = await getJson(page, "/admin/v1/models");
    await page.goto(`${base}#/models/${encodeURIComponent(models[0].id)}`);
    await page.locator(".facts").first().waitFor();
    await check("model");
    await openScreen(page, base, "chat");
    await ask(page, "Hello");
    await page.getByRole("button", { name: "Parameters" }).click();
    await check("answer");
    await page.goto(`${base}#/requests`);
    await page.locator(".log-space .log-row").first().click();
    await page.locator(".drawer .facts").first().waitFor();
    await check("request");
    await page.keyboard.press("Control+k");
    await page.locator(".palette-input:focus").waitFor();
    await check("palette");
    assert.deepEqual(found, [], "axe finds nothing");
  });

export const cases = {
  "dark follows the system, a choice wins and stays": (browser, base) =>
    withPage(browser, base, { colorScheme: "dark", hash: "#/live" }, async ({ page }) => {
      assert.ok((await brightness(page)) < 0.2);
      await page.keyboard.press("t");
      await page.waitForFunction(() => document.documentElement.dataset.theme === "light");
      assert.ok((await brightness(page)) > 0.8);
      await page.reload();
      assert.ok((await brightness(page)) > 0.8);
    }),

  "Chinese is complete and stays": (browser, base) =>
    withPage(browser, base, { locale: "zh-CN" }, async ({ page }) => {
      assert.equal(await page.locator(".rail-links a").first().innerText(), "对话");
      assert.equal(await page.evaluate(() => document.documentElement.lang), "zh-CN");
      await page.getByRole("button", { name: "Switch to English" }).click();
      await page.reload();
      await page.waitForFunction(() => document.querySelector(".rail-links a")?.textContent === "Chat");
    }),

  "nothing overflows at 360 pixels": (browser, base) =>
    withPage(browser, base, { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true }, async ({ page }) => {
      for (const screen of SCREENS) {
        await openScreen(page, base, screen);
        const width = await page.evaluate(() => Math.max(document.documentElement.scrollWidth, ...[...document.querySelectorAll(".page, .chat-main")].map((each) => each.scrollWidth)));
        assert.ok(width <= 360, `${screen} is ${width} pixels wide`);
      }
      await openScreen(page, base, "chat");
      await page.getByRole("button", { name: "Conversations" }).click();
      await page.locator(".with-drawer .chat-side").waitFor();
    }),

  "axe finds no fault, light": accessible("light"),
  "axe finds no fault, dark": accessible("dark"),

  "the page brings a strict policy and keeps to it": (browser, base) =>
    withPage(browser, base, {}, async ({ page, response }) => {
      const policy = response.headers()["content-security-policy"] ?? "";
      assert.match(policy, /default-src 'self'/);
      assert.doesNotMatch(policy, /unsafe/, "the console needs no 'unsafe-...' source; remove it from the server's policy");
      for (const screen of SCREENS) await openScreen(page, base, screen); // the guard does the rest
    }),
};

/** A picture of a conversation, for the README. */
export async function screenshot(browser, base, path) {
  const params = { temperature: 0, max_tokens: 220 };
  await withPage(browser, base, { viewport: { width: 1280, height: 800 }, params }, async ({ page }) => {
    await ask(page, "Why is the sky blue?");
    await ask(page, "Write a Python function that adds two numbers, with an example.");
    await page.mouse.move(0, 0);
    await page.screenshot({ path });
  });
}
