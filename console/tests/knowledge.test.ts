import { expect, test } from "vitest";
import { citationText, citedParts, type Citation } from "../src/knowledge/types";

const at: Citation = { document: "d", base: "b", title: "Handbook", uri: "", page: 2, place: "", section: ["Leave", "Parents"], begin: 0, end: 0 };

test("a citation names page, place and section as far as there are any", () => {
  expect(citationText(at)).toBe("Handbook, p. 2, Leave › Parents");
  expect(citationText({ ...at, place: "Prices!2:9", section: [] })).toBe("Handbook, p. 2 (Prices!2:9)");
  expect(citationText({ ...at, page: 0, section: [] })).toBe("Handbook");
});

test("offsets count bytes, not characters", () => {
  expect(citedParts("中文 café x", 7, 12)).toEqual(["中文 ", "café", " x"]);
  expect(citedParts("abc", 0, 0)).toEqual(["", "", "abc"]);
});
