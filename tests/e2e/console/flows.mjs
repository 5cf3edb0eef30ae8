// Workflows: the list of runs, a run, definitions, health. Each case makes the workflows and runs it
// looks at, on the real server; what it shows must be what the server says.
import assert from "node:assert/strict";
import { axeFaults, getJson, withPage } from "./harness.mjs";

const PIPELINE = (name) => `name: ${name}
input:
  type: object
  properties:
    rows: {type: array, items: {type: integer}, default: [1, 2, 3]}
    title: {type: string, minLength: 3}
  required: [title]
steps:
  - id: size
    branch:
      if: input.rows | length > 2
      then: [{id: big, set: {kind: big}}]
      else: [{id: small, set: {kind: small}}]
  - id: each
    for_each: {in: "{{ input.rows }}", as: row, concurrency: 2, steps: [{id: square, set: {value: "{{ row * row }}"}}]}
  - id: gate
    human:
      ask: answer
      prompt: "Release {{ input.title }}?"
      form: {type: object, properties: {grade: {type: integer, minimum: 1, maximum: 5}}, required: [grade]}
  - id: report
    set: {text: "{{ input.title }} {{ steps.gate.output.answer.grade }}"}
output: {text: "{{ steps.report.output.text }}"}
`;
const BROKEN = (name) => `name: ${name}
steps:
  - {id: ok, set: {x: 1}}
  - {id: get, http: {url: "http://127.0.0.1:1/none"}, retry: {attempts: 2, backoff: 1ms, jitter: 0}}
  - {id: after, set: {x: 2}}
`;
const GATE = (name) => `name: ${name}
steps: [{id: ok, human: {ask: approve, prompt: "Go on?"}}, {id: last, set: {x: 1}}]
`;

let made = 0;
/** A name of its own, so that cases can run against a server that has been used. */
const fresh = (what) => `${what}-${process.pid}-${(made += 1)}`;

const post = (page, path, body, type = "application/json") =>
  page.evaluate(async ([url, text, contentType]) => {
    const response = await fetch(url, { method: "POST", headers: { "Content-Type": contentType }, body: text });
    const answer = await response.json();
    if (!response.ok) throw new Error(`${url}: ${JSON.stringify(answer)}`);
    return answer;
  }, [path, typeof body === "string" ? body : JSON.stringify(body), type]);

async function deployed(page, text) {
  return (await post(page, "/v1/workflows", text, "application/yaml")).name;
}

async function until(page, run, wanted) {
  await page.waitForFunction(async ([id, status]) => (await (await fetch(`/v1/runs/${id}`)).json()).status === status, [run, wanted]);
}

/** Only where the server has workflows: a stand-in has none. */
const flows = (options, act) => (browser, base) =>
  withPage(browser, base, { hash: "#/models", ...options }, async (given) => {
    const { page } = given;
    given.guard.ignoring = /Failed to load resource/; // refusals are part of some cases
    if ((await page.evaluate(async () => (await fetch("/v1/flow")).status)) !== 200) return;
    await act({ ...given, base });
  });

const step = (page, id) => page.locator(`.dag-step[data-step="${id}"]`);
const drawer = (page) => page.locator(".step-drawer");

export const cases = {
  "a run is started from a form made of its workflow's schema": flows({}, async ({ page, base }) => {
    const name = await deployed(page, PIPELINE(fresh("pipeline")));
    await page.goto(`${base}#/workflows`);
    await page.getByRole("button", { name: `Start a run of ${name}` }).click();
    const dialog = page.getByRole("dialog");
    const start = dialog.getByRole("button", { name: "Start a run" });
    await dialog.getByLabel("title").fill("ab");
    await dialog.getByText("At least 3 characters.").waitFor();
    assert.ok(await start.isDisabled(), "what the server would refuse is not sent");
    assert.deepEqual(await axeFaults(page), []);
    await dialog.getByLabel("title").fill("June");
    await dialog.getByRole("button", { name: "JSON" }).click();
    const json = dialog.getByLabel("As JSON");
    assert.deepEqual(JSON.parse(await json.inputValue()), { rows: [1, 2, 3], title: "June" });
    await json.fill("{");
    assert.ok(await start.isDisabled());
    await json.fill('{"title": "July", "rows": [4, 5]}');
    await dialog.getByLabel("Labels").fill("team=a");
    await start.click();
    await page.waitForFunction(() => location.hash.startsWith("#/runs/run_"));
    const id = page.url().split("#/runs/")[1].split("?")[0];
    await step(page, "gate").and(page.locator(".step-waiting")).waitFor();
    const run = await getJson(page, `/v1/runs/${id}`);
    assert.deepEqual(run.input, { title: "July", rows: [4, 5] });
    assert.deepEqual(run.labels, { team: "a" });
  }),

  "runs are listed, filtered and counted, live, and wait in words": flows({}, async ({ page, base }) => {
    const name = await deployed(page, GATE(fresh("gate")));
    for (const team of ["a", "a", "b"]) await post(page, `/v1/workflows/${name}/runs`, { labels: { team } });
    await page.goto(`${base}#/runs?workflow=${name}`);
    const rows = page.locator(".runs .log-space .log-row");
    await rows.nth(2).waitFor();
    assert.equal(await rows.count(), 3);
    assert.match(await rows.first().innerText(), /waits for a person: ok/);
    const running = page.locator(".status-filter button", { hasText: "running" });
    assert.match(await running.innerText(), /3/);
    await post(page, `/v1/workflows/${name}/runs`, { labels: { team: "b" } });
    await rows.nth(3).waitFor(); // without a reload
    await page.getByLabel("Label: name=value").fill("team=a");
    await page.waitForFunction(() => document.querySelectorAll(".runs .log-space .log-row").length === 2);
    const { data } = await getJson(page, `/v1/runs?workflow=${name}&label=team=a`);
    await post(page, `/v1/runs/${data[0].id}/answer`, { step: "ok", decision: "approved" });
    await rows.filter({ hasText: "completed" }).waitFor();
    assert.deepEqual(await axeFaults(page), []);
    await page.locator(".runs").focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.waitForFunction((id) => location.hash.includes(id), data[1].id);
  }),

  "an alarm is added, fires with its runs, is taken, silenced and removed": flows({}, async ({ page, base }) => {
    const name = await deployed(page, BROKEN(fresh("broken")));
    await page.goto(`${base}#/alarms`);
    await page.getByRole("button", { name: "New alarm" }).first().click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name").fill(name);
    await dialog.getByLabel("Failed runs, per cent").fill("50");
    await dialog.getByLabel("Workflow").fill(name);
    assert.deepEqual(await axeFaults(page), []);
    await dialog.getByRole("button", { name: "New alarm" }).click();
    await page.locator(".alarm-rules tr", { hasText: name }).waitFor();
    const ids = [];
    for (let n = 0; n < 5; n += 1) ids.push((await post(page, `/v1/workflows/${name}/runs`, { wait_ms: 60_000 })).id);
    const card = page.locator(".alarm-card", { hasText: name });
    await card.waitFor();
    assert.match(await card.innerText(), /100% of 5 runs failed/);
    assert.equal(await card.locator(".alarm-runs a").count(), 5);
    await page.locator(".rail .nav-badge").waitFor();
    assert.deepEqual(await axeFaults(page), []);
    await card.getByRole("button", { name: "Acknowledge" }).click();
    await card.getByText(/Acknowledged by console/).waitFor();
    await card.getByLabel(`Silence ${name}`).selectOption("8h");
    await card.getByRole("button", { name: "End silence" }).waitFor();
    const { alarms, silenced_until_unix_ms } = await getJson(page, `/v1/alarms/${name}`);
    assert.equal(alarms[0].acked_by, "console");
    assert.ok(silenced_until_unix_ms > Date.now());
    await page.locator(".alarm-history li", { hasText: name }).filter({ hasText: "fired" }).first().waitFor();
    await page.getByRole("button", { name: `Remove ${name}` }).click();
    await card.waitFor({ state: "detached" });
    await page.goto(`${base}#/runs/${ids[4]}`);
    await page.locator(".dag-step").first().waitFor();
  }),

  "many runs are cancelled and tried again after a question": flows({}, async ({ page, base }) => {
    const [gate, broken] = [await deployed(page, GATE(fresh("gate"))), await deployed(page, BROKEN(fresh("broken")))];
    const ids = [];
    for (let n = 0; n < 3; n += 1) ids.push((await post(page, `/v1/workflows/${gate}/runs`, {})).id);
    const { id: failing } = await post(page, `/v1/workflows/${broken}/runs`, {});
    await until(page, failing, "failed");
    await page.goto(`${base}#/runs?workflow=${gate}`);
    const rows = page.locator(".runs .log-space .log-row");
    await rows.nth(2).waitFor();
    await rows.nth(0).locator(".col-pick").click();
    await rows.nth(1).locator(".col-pick").click({ modifiers: ["Shift"] });
    const bar = page.locator(".bulk-bar");
    assert.match(await bar.innerText(), /2 selected/);
    await bar.getByRole("button", { name: "Cancel run" }).click();
    const dialog = page.getByRole("dialog");
    assert.deepEqual(await axeFaults(page), []);
    await dialog.getByRole("button", { name: "Cancel run" }).click();
    await dialog.getByText("2 of 2 done").waitFor();
    await dialog.getByRole("button", { name: "Close" }).click();
    await rows.filter({ hasText: "cancelled" }).nth(1).waitFor();
    assert.equal((await getJson(page, `/v1/runs/${ids[0]}`)).status, "running", "what was not selected goes on");

    await page.goto(`${base}#/runs?workflow=${broken}`);
    await rows.first().locator(".col-pick").click();
    await bar.getByRole("button", { name: "Retry" }).click();
    const before = (await getJson(page, `/v1/runs/${failing}`)).events;
    await dialog.getByRole("button", { name: "Retry" }).click();
    await dialog.getByText("1 of 1 done").waitFor();
    assert.ok((await getJson(page, `/v1/runs/${failing}`)).events > before);
  }),

  "a person answers a step beside the live graph": flows({}, async ({ page, base }) => {
    const name = await deployed(page, PIPELINE(fresh("pipeline")));
    const { id } = await post(page, `/v1/workflows/${name}/runs`, { input: { title: "June" } });
    await page.goto(`${base}#/runs/${id}`);
    await step(page, "gate").and(page.locator(".step-waiting")).waitFor();
    // Rounds are folded into counts.
    await page.waitForFunction(() => /3 done/.test(document.querySelector('[data-step="square"]').getAttribute("aria-label")));
    await page.getByLabel("Round of each").fill("1");
    await page.waitForFunction(() => /square, set, done/.test(document.querySelector('[data-step="square"]').getAttribute("aria-label")));
    await page.getByRole("button", { name: "Answer it" }).click();
    await drawer(page).locator(".human-prompt", { hasText: "Release June?" }).waitFor();
    const send = drawer(page).getByRole("button", { name: "Send", exact: true });
    await drawer(page).getByLabel("grade").fill("9");
    await drawer(page).getByText("At most 5.").waitFor();
    assert.ok(await send.isDisabled());
    assert.deepEqual(await axeFaults(page), []);
    await drawer(page).getByLabel("grade").fill("4");
    await drawer(page).getByLabel("Your name").fill("Kim");
    await send.click();
    await step(page, "report").and(page.locator(".step-done")).waitFor();
    const run = await getJson(page, `/v1/runs/${id}`);
    assert.equal(run.output.text, "June 4");
    await page.getByText("ended", { exact: true }).waitFor();
    assert.match(await drawer(page).innerText(), /"by": "Kim"/, "the step's output is shown");
  }),

  "a draft is edited, a step is rejected with a reason": flows({}, async ({ page, base }) => {
    const name = fresh("draft");
    await deployed(page, `name: ${name}\nsteps:\n  - {id: edit, human: {ask: edit, prompt: "Mend it", draft: "Deer Ann"}}\n  - {id: ok, human: {ask: approve, prompt: "Send {{ steps.edit.output.answer }}?"}}\n`);
    const { id } = await post(page, `/v1/workflows/${name}/runs`, {});
    await page.goto(`${base}#/runs/${id}?step=edit`);
    const draft = drawer(page).getByLabel("Value");
    await draft.waitFor();
    assert.equal(await draft.inputValue(), "Deer Ann");
    await draft.fill("Dear Ann");
    await drawer(page).getByRole("button", { name: "Send", exact: true }).click();
    await step(page, "ok").and(page.locator(".step-waiting")).click();
    await drawer(page).locator(".human-prompt", { hasText: "Send Dear Ann?" }).waitFor();
    await drawer(page).getByLabel("Comment").fill("too short");
    await drawer(page).getByRole("button", { name: "Reject" }).click();
    await until(page, id, "failed");
    await page.locator(".run-page .answer-failure", { hasText: "too short" }).waitFor();
  }),

  "a stream that breaks goes on where it was, nothing lost or doubled": flows({}, async ({ page, base }) => {
    const name = await deployed(page, PIPELINE(fresh("pipeline")));
    const { id } = await post(page, `/v1/workflows/${name}/runs`, { input: { title: "June" } });
    const asked = [];
    await page.route("**/watch?*", async (route) => {
      asked.push(Number(new URL(route.request().url()).searchParams.get("after")));
      if (asked.length > 2) return route.continue();
      // The line breaks within the third event that is sent.
      const { data } = await (await fetch(`${base}v1/runs/${id}/events?after=${asked[asked.length - 1]}&limit=3`)).json();
      const frames = data.map(({ place, ...event }) => `id: ${place}\nevent: ${event.event}\ndata: ${JSON.stringify(event)}\n\n`);
      return route.fulfill({ contentType: "text/event-stream", body: frames.join("").slice(0, -20) });
    });
    await page.goto(`${base}#/runs/${id}?view=history`);
    const places = () => page.locator(".history .log-space .log-row > span:first-child").allInnerTexts();
    const { events } = await getJson(page, `/v1/runs/${id}`);
    await page.locator(`.history[aria-rowcount="${events + 1}"]`).waitFor();
    assert.deepEqual(asked, [0, 2, 4], "each stream begins behind the last whole event");
    await post(page, `/v1/runs/${id}/answer`, { step: "gate", decision: "answered", answer: { grade: 3 } });
    const after = (await getJson(page, `/v1/runs/${id}`)).events;
    await page.locator(`.history[aria-rowcount="${after + 1}"]`).waitFor();
    const shown = (await places()).map(Number);
    assert.deepEqual(shown, Array.from({ length: shown.length }, (_, n) => n + shown[0]), "each once, in order");
    assert.deepEqual(await axeFaults(page), []);
  }),

  "what failed says why, by attempt, and is tried again with other arguments": flows({}, async ({ page, base }) => {
    const name = await deployed(page, BROKEN(fresh("broken")));
    const { id } = await post(page, `/v1/workflows/${name}/runs`, {});
    await until(page, id, "failed");
    await page.goto(`${base}#/runs/${id}`);
    await step(page, "get").and(page.locator(".step-failed")).waitFor();
    await step(page, "ok").focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await drawer(page).locator(".attempts li").nth(1).waitFor();
    assert.match(await drawer(page).innerText(), /unavailable/);
    await drawer(page).getByLabel("Input", { exact: true }).waitFor();
    assert.match(await drawer(page).getByLabel("Input", { exact: true }).innerText(), /127\.0\.0\.1:1/);
    assert.deepEqual(await axeFaults(page), []);
    await drawer(page).getByRole("button", { name: "Retry" }).click();
    const dialog = page.getByRole("dialog");
    assert.deepEqual(await axeFaults(page), []);
    await dialog.getByRole("button", { name: "Retry" }).click();
    await dialog.waitFor({ state: "detached" });
    await page.waitForFunction(async (run) => (await (await fetch(`/v1/runs/${run}`)).json()).root.steps[1].resets === 1, id);
  }),

  "a run forks off at a step, with other input": flows({}, async ({ page, base }) => {
    const openapi = await getJson(page, "/openapi.json");
    if (!openapi.paths["/v1/runs/{id}/fork"]) return; // the console hides it then
    const name = await deployed(page, PIPELINE(fresh("pipeline")));
    const { id } = await post(page, `/v1/workflows/${name}/runs`, { input: { title: "June" } });
    await page.goto(`${base}#/runs/${id}?step=gate`);
    await drawer(page).getByRole("button", { name: "Fork here" }).click();
    const dialog = page.getByRole("dialog");
    assert.deepEqual(await axeFaults(page), []);
    await dialog.getByLabel("Input").fill('{"title": "July"}');
    await dialog.getByRole("button", { name: "Fork here" }).click();
    await page.waitForFunction((before) => location.hash.startsWith("#/runs/run_") && !location.hash.includes(before), id);
    await step(page, "gate").and(page.locator(".step-waiting")).waitFor();
    const fork = page.url().split("#/runs/")[1].split("?")[0];
    const run = await getJson(page, `/v1/runs/${fork}`);
    assert.deepEqual(run.forked_from, { run: id, step: "gate" });
    assert.equal(run.input.title, "July");
    assert.equal((await getJson(page, `/v1/runs/${id}`)).status, "running", "the first run stays as it is");
    await page.getByRole("button", { name: "Data" }).click();
    await page.getByRole("link", { name: `${id}: gate` }).waitFor();
  }),

  "the trace zooms by keys and opens a step": flows({}, async ({ page, base }) => {
    const name = await deployed(page, PIPELINE(fresh("pipeline")));
    const { id } = await post(page, `/v1/workflows/${name}/runs`, { input: { title: "June" } });
    await page.goto(`${base}#/runs/${id}?view=trace`);
    const trace = page.locator(".trace-frame");
    await trace.locator(".bar-wait").waitFor();
    const names = await trace.locator(".trace-name").allInnerTexts();
    assert.ok(names.includes("each[2].square") && names.indexOf("each") < names.indexOf("each[0].square"), names.join());
    const marks = () => trace.locator(".trace-mark").allInnerTexts();
    await trace.focus();
    for (let n = 0; n < 4; n += 1) await page.keyboard.press("+");
    assert.ok(await page.getByRole("button", { name: "Fit" }).isEnabled());
    const zoomed = await marks();
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("0");
    assert.ok(await page.getByRole("button", { name: "Fit" }).isDisabled());
    assert.notDeepEqual(await marks(), zoomed);
    await page.keyboard.press("End");
    await page.keyboard.press("Enter");
    await drawer(page).locator(".human-prompt", { hasText: "Release June?" }).waitFor();
    assert.deepEqual(await axeFaults(page), []);
  }),

  "a run is paused, gets a signal, goes on": flows({}, async ({ page, base }) => {
    const name = fresh("signal");
    await deployed(page, `name: ${name}\nsteps: [{id: paid, wait: {signal: paid}}, {id: last, set: {x: "{{ steps.paid.output.n }}"}}]\n`);
    const { id } = await post(page, `/v1/workflows/${name}/runs`, {});
    await page.goto(`${base}#/runs/${id}`);
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByRole("button", { name: "Resume" }).click();
    await page.getByRole("button", { name: "Pause" }).waitFor();
    await page.getByRole("button", { name: "Send a signal" }).click();
    const dialog = page.getByRole("dialog");
    assert.equal(await dialog.getByLabel("Name").inputValue(), "paid", "what the run waits for is there already");
    await dialog.getByLabel("Payload, JSON").fill('{"n": 5}');
    await dialog.getByRole("button", { name: "Send" }).click();
    await step(page, "last").and(page.locator(".step-done")).waitFor();
  }),

  "a workflow is written, mended by line and column, deployed and compared": flows({}, async ({ page, base }) => {
    const name = fresh("written");
    await page.goto(`${base}#/workflows?edit=1`);
    const source = page.getByRole("textbox", { name: "Source" });
    const deploy = page.getByRole("button", { name: "Deploy" });
    await source.fill(`name: ${name}\nsteps:\n  - {id: a, cal: {}}\n`);
    const fault = page.locator(".faults .link").last();
    await fault.waitFor();
    assert.ok(await deploy.isDisabled());
    const told = (await (await fetch(`${base}v1/workflows?dry_run=1`, { method: "POST", body: await source.inputValue() })).json()).faults.at(-1);
    assert.equal(await fault.innerText(), `${told.line}:${told.column}`);
    await fault.click();
    const at = await source.evaluate((area) => area.value.slice(0, area.selectionStart).split("\n"));
    assert.deepEqual([at.length, at.at(-1).length + 1], [told.line, told.column], "the caret is at the fault");
    assert.deepEqual(await axeFaults(page), []);
    await source.fill(GATE(name));
    await page.getByText("Nothing is wrong with it.").waitFor();
    await deploy.click();
    await step(page, "last").waitFor();
    await page.getByRole("link", { name: "Edit" }).click();
    await source.fill(`name: ${name}\nsteps: [{id: ok, human: {ask: approve, prompt: "Sure?"}}]\n`);
    await page.getByText("Nothing is wrong with it.").waitFor();
    await deploy.click();
    await page.getByRole("button", { name: "Compare" }).click();
    await page.locator(".diff .diff-new").waitFor();
    await page.locator(".diff .diff-old").first().waitFor();
    const { findings } = await getJson(page, `/v1/workflows/${name}/compatibility?from=1&to=2`);
    assert.equal(await page.locator(".findings li").count(), findings.length);
    assert.deepEqual(await axeFaults(page), []);
  }),

  "a thousand steps are drawn": flows({}, async ({ page, base }) => {
    const name = fresh("large");
    const steps = Array.from({ length: 1000 }, (_, n) => ({ id: `s${n}`, set: { x: n }, ...(n ? { depends_on: [...new Set([`s${Math.floor((n - 1) / 3)}`, `s${Math.max(0, n - 7)}`])] } : { depends_on: [] }) }));
    await post(page, "/v1/workflows", { name, steps });
    await page.goto(`${base}#/workflows/${name}`);
    await step(page, "s999").waitFor({ state: "attached" });
    assert.equal(await page.locator(".dag-step").count(), 1000);
    assert.equal(await page.locator(".dag-step[tabindex='0']").count(), 1, "one tab stop");
  }),

  "the journal's health is shown live": flows({}, async ({ page, base }) => {
    await page.goto(`${base}#/journal`);
    const canvas = page.locator(".chart canvas").first();
    await canvas.and(page.locator("[data-newest]")).waitFor();
    const first = await canvas.getAttribute("data-newest");
    await page.waitForFunction((before) => Number(document.querySelector(".chart canvas").dataset.newest) > Number(before), first);
    const health = await getJson(page, "/v1/flow/health");
    if (health.journal) assert.match(await page.locator(".tile", { hasText: "On disk" }).innerText(), /\d [KMG]?i?B/);
    assert.match(await page.locator(".tile", { hasText: "Open runs" }).innerText(), new RegExp(`${health.runs.open}`));
    assert.deepEqual(await axeFaults(page), []);
  }),

  "workflows keep still where motion is not wanted": flows({ reducedMotion: "reduce" }, async ({ page, base }) => {
    const name = await deployed(page, GATE(fresh("gate")));
    const { id } = await post(page, `/v1/workflows/${name}/runs`, {});
    for (const hash of ["#/runs", `#/runs/${id}`]) {
      await page.goto(base + hash);
      await page.locator(".status-shape").first().waitFor();
      assert.deepEqual(await page.evaluate(() => document.getAnimations().map((each) => each.animationName ?? "")), []);
    }
  }),
};
