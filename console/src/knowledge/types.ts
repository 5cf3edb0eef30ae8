// What /v1/knowledge answers.

export interface Citation {
  document: string;
  base: string;
  title: string;
  uri: string;
  page: number; // from 1; 0: the document has none
  place: string; // a slide's title, a sheet's rows
  section: string[];
  begin: number; // bytes of the extracted text
  end: number;
}

export interface Base {
  name: string;
  documents: number;
  passages: number;
  text_bytes: number;
}

export interface KnowledgeDocument {
  id: string;
  base: string;
  uri: string;
  title: string;
  media_type: string;
  labels: string[];
  bytes: number;
  pages: number;
  passages: number;
  version: number;
  changed_unix_ms: number;
  warnings: string[];
}

export interface DocumentDetail extends KnowledgeDocument {
  outline: { title: string; level: number; page: number; begin: number }[];
}

export interface Passage {
  id: string;
  text: string;
  header: string;
  score: number;
  at: Citation;
  also: Citation[];
}

export interface Conflict {
  subject: string;
  attribute: string;
  kind: "number" | "time" | "text";
  statements: { value: string; quote: string; at: Citation }[];
}

export interface Upload extends KnowledgeDocument {
  how: "added" | "replaced" | "unchanged";
}

/** "Handbook, p. 2, Holidays › Parents". */
export function citationText({ title, page, place, section }: Citation): string {
  const where = page ? [`p. ${page}${place ? ` (${place})` : ""}`] : [];
  return [title, ...where, ...(section.length ? [section.join(" › ")] : [])].join(", ");
}

/** The text in three: before, cited, after. Offsets count bytes of UTF-8. */
export function citedParts(text: string, begin: number, end: number): [string, string, string] {
  const bytes = new TextEncoder().encode(text);
  const read = (from: number, to: number) => new TextDecoder().decode(bytes.subarray(from, to));
  return [read(0, begin), read(begin, end), read(end, bytes.length)];
}
