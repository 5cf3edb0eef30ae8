// Fails the build when the console outgrows its budget: gzip bytes of what the first screen loads,
// and of everything. The numbers are promised in the project's goals.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const FIRST_LOAD_KB_MAX = 110;
const WHOLE_KB_MAX = 320;

const dist = fileURLToPath(new URL("../dist/", import.meta.url));
const packedKb = (name) => gzipSync(readFileSync(join(dist, name)), { level: 9 }).length / 1024;

const html = readFileSync(join(dist, "index.html"), "utf8");
const first = ["index.html", ...[...html.matchAll(/(?:src|href)="\.\/([^"]+)"/g)].map((match) => match[1])];
const all = readdirSync(dist, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(dist.length));

const sum = (names) => names.reduce((total, name) => total + packedKb(name), 0);
const figures = [["first load", sum(first), FIRST_LOAD_KB_MAX], ["whole console", sum(all), WHOLE_KB_MAX]];
for (const [what, kb, max] of figures) console.log(`${what}: ${kb.toFixed(1)} KB gzip (at most ${max})`);
if (figures.some(([, kb, max]) => kb > max)) {
  console.error("Over budget: split the code by screen, or drop a dependency.");
  process.exit(1);
}
