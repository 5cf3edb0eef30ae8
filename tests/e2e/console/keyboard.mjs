// The whole console without a mouse.
import assert from "node:assert/strict";
import { sendable, withPage } from "./harness.mjs";

const at = (page, screen) => page.waitForFunction((wanted) => location.hash.startsWith(`#/${wanted}`), screen);
const leaveField = (page) => page.evaluate(() => document.activeElement?.blur());

export const cases = {
  "the palette goes anywhere": (browser, base) =>
    withPage(browser, base, {}, async ({ page }) => {
      await page.keyboard.press("Control+k"); // from within the message field
      await page.locator(".palette-input:focus").waitFor();
      await page.keyboard.type("system");
      await page.keyboard.press("Enter");
      await at(page, "system");
      assert.equal(await page.locator("dialog").count(), 0);

      await page.keyboard.press("Control+k");
      await page.locator(".palette-input:focus").waitFor();
      const active = () => page.locator("[role=option][aria-selected=true]").innerText();
      const first = await active();
      await page.keyboard.press("ArrowDown");
      assert.notEqual(await active(), first);
      await page.keyboard.press("Escape");
      await page.locator("dialog").waitFor({ state: "detached" });
    }),

  "g and a letter, question mark, slash, escape": (browser, base) =>
    withPage(browser, base, {}, async ({ page }) => {
      await leaveField(page);
      for (const [key, screen] of [["m", "models"], ["l", "live"], ["r", "requests"], ["s", "system"], ["c", "chat"]]) {
        await page.keyboard.press("g");
        await page.keyboard.press(key);
        await at(page, screen);
        await leaveField(page);
      }
      await page.keyboard.press("?");
      await page.locator("dialog.help").waitFor();
      await page.keyboard.press("Escape");
      await page.locator("dialog").waitFor({ state: "detached" });
      await page.keyboard.press("/");
      await page.locator("[data-composer]:focus").waitFor();
    }),

  "a question can be asked, broken into lines and answered": (browser, base) =>
    withPage(browser, base, {}, async ({ page }) => {
      await sendable(page);
      await page.locator("[data-composer]:focus").waitFor(); // ready to type without a click
      await page.keyboard.type("First line");
      await page.keyboard.press("Shift+Enter");
      await page.keyboard.type("second line");
      await page.keyboard.press("Enter");
      await page.locator(".answer[aria-busy=false] .figures").waitFor();
      assert.equal(await page.locator(".bubble").innerText(), "First line\nsecond line");
      await page.keyboard.press("ArrowUp"); // in the empty field: edit the last question
      await page.locator(".question-editor textarea:focus").waitFor();
      await page.keyboard.press("Escape");
      await page.locator(".bubble").waitFor();
    }),

  "tab meets the skip link first, and focus is always visible": (browser, base) =>
    withPage(browser, base, { hash: "#/models" }, async ({ page }) => {
      await page.locator(".model-card").first().waitFor();
      await page.keyboard.press("Tab");
      assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
      for (let step = 0; step < 12; step += 1) {
        const seen = await page.evaluate(() => {
          const style = getComputedStyle(document.activeElement);
          return document.activeElement === document.body || style.outlineStyle !== "none";
        });
        assert.ok(seen, `focus is visible after ${step + 1} tabs`);
        await page.keyboard.press("Tab");
      }
    }),
};
