import { describe, expect, it } from "vitest";
import { dictionaries, pickLocale, translator } from "../src/i18n";

const holes = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort();
const keys = Object.keys(dictionaries.en) as (keyof typeof dictionaries.en)[];

describe("dictionaries", () => {
  it("have the same keys, none empty, with the same placeholders", () => {
    expect(Object.keys(dictionaries.zh).sort()).toEqual([...keys].sort());
    for (const key of keys) {
      expect(dictionaries.zh[key].trim(), key).not.toBe("");
      expect(holes(dictionaries.zh[key]), key).toEqual(holes(dictionaries.en[key]));
    }
  });

  it("say it in Chinese where a word is not a name", () => {
    const same = keys.filter((key) => dictionaries.zh[key] === dictionaries.en[key]);
    expect(same).toEqual(["column.ttft"]);
  });

  it("hold no key that the source does not use", () => {
    const files = import.meta.glob<string>(["../src/**/*.{ts,tsx}", "!../src/i18n/{en,zh}.ts"], {
      query: "?raw",
      import: "default",
      eager: true,
    });
    const source = Object.values(files).join("\n");
    expect(source.length).toBeGreaterThan(10_000);
    // Keys built at run time, such as t(`pulse.${link}`): the part before the hole counts.
    const prefixes = [...source.matchAll(/`([a-z_.]+\.)\$\{/g)].map((match) => match[1] ?? "");
    const unused = keys.filter((key) => !source.includes(`"${key}"`) && !prefixes.some((prefix) => key.startsWith(prefix)));
    expect(unused).toEqual([]);
  });
});

describe("translator", () => {
  it("fills placeholders and leaves unknown ones visible", () => {
    expect(translator("en")("requests.count", { shown: 2, total: 10 })).toBe("2 of 10");
    expect(translator("en")("requests.count", { shown: 2 })).toBe("2 of {total}");
  });

  it("picks the stored language, else the browser's first known one, else English", () => {
    expect(pickLocale("zh", ["en"])).toBe("zh");
    expect(pickLocale(null, ["fr", "zh-TW", "en"])).toBe("zh");
    expect(pickLocale("xx", ["de"])).toBe("en");
  });
});
