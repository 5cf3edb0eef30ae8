// Renders every template beside this file over every conversation with npm `@huggingface/jinja` and
// writes goldens/<template>.json. Run it after adding a template or a conversation:
//
//   npm install --no-save @huggingface/jinja@0.5.11 && node make_goldens.mjs [templates] [goldens]
//
// `only` and `except` in conversations.json bound a conversation to templates on which the reference
// and Python's jinja2 agree: the reference prints lists as JSON and joins them to strings, where
// jinja2 prints Python's form or fails, as we do.
// A case whose reference rendering fails (a template that refuses a role, say) has `error` instead of
// `output`.
import { Template } from "@huggingface/jinja";
import fs from "node:fs";
import path from "node:path";

const here = path.dirname(new URL(import.meta.url).pathname);
const templates = process.argv[2] ?? path.join(here, "templates");
const goldens = process.argv[3] ?? path.join(here, "goldens");
const read = (name) => JSON.parse(fs.readFileSync(path.join(here, name), "utf8"));
const conversations = read("conversations.json");
const tools = read("tools.json");

// `strftime_now` reads the clock: stop it where the C++ test's RenderOptions::now_unix_s stands.
process.env.TZ = "UTC";
const RealDate = Date;
globalThis.Date = class extends RealDate {
    constructor(...given) { super(...(given.length > 0 ? given : [Date.UTC(2026, 6, 4, 5, 6, 7)])); }
};

function variables(conversation, add_generation_prompt) {
    const all = { bos_token: "<s>", eos_token: "</s>", add_generation_prompt,
                  messages: conversation.messages, ...conversation.variables };
    if (conversation.tools) all.tools = tools;
    return all;
}

fs.mkdirSync(goldens, { recursive: true });
for (const file of fs.readdirSync(templates).filter((name) => name.endsWith(".jinja")).sort()) {
    const source = fs.readFileSync(path.join(templates, file), "utf8");
    const cases = [];
    const name = file.replace(/\.jinja$/, "");
    const fits = ({ only, except }) => (only?.includes(name) ?? true) && !except?.includes(name);
    for (const conversation of conversations.filter(fits)) {
        for (const add_generation_prompt of [false, true]) {
            const one = { conversation: conversation.name, add_generation_prompt };
            try {
                const given = variables(conversation, add_generation_prompt);
                one.output = new Template(source).render(given);
            } catch (error) {
                one.error = String(error.message).slice(0, 200);
            }
            cases.push(one);
        }
    }
    fs.writeFileSync(path.join(goldens, `${name}.json`),
                     JSON.stringify(cases, null, 1) + "\n");
}
