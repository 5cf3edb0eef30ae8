// Colours what nearly all programming languages share: comments, strings, numbers, common words.
// One pass, no grammar per language; wrong guesses cost a colour, nothing more.

export interface Part {
  text: string;
  kind: "comment" | "string" | "number" | "keyword" | null;
}

const CHARS_MAX = 20_000; // a longer block stays plain

const HASH_COMMENTS = /^(py|python|sh|bash|shell|zsh|console|rb|ruby|yaml|yml|toml|r|perl|make|makefile|dockerfile|cmake|conf|ini)$/i;
const DASH_COMMENTS = /^(sql|lua|haskell|hs)$/i;
const NO_CODE = /^(text|txt|plain|md|markdown|diff|log|)$/i;

const WORDS =
  "abstract and as assert async auto await bool boolean break case catch char class co_await const constexpr continue def default del delete do done double elif else enum esac except export extends false False fi final finally float fn for from func function if impl implements import in int interface is lambda let long match mod module mut namespace new nil None not null nullptr of or override package pass private protected pub public raise return self short static std string struct super switch template then this throw trait true True try type typedef typename union unsigned use using var virtual void while with yield select where insert update join group order by limit create table values SELECT FROM WHERE INSERT INTO UPDATE JOIN GROUP ORDER BY LIMIT CREATE TABLE VALUES AND OR NOT NULL";
const keywords = new Set(WORDS.split(" "));

function pattern(language: string): RegExp {
  const comment = HASH_COMMENTS.test(language)
    ? "#[^\\n]*"
    : DASH_COMMENTS.test(language)
      ? "--[^\\n]*"
      : "//[^\\n]*|/\\*[\\s\\S]*?(?:\\*/|$)";
  const string = "\"(?:\\\\.|[^\"\\\\\\n])*\"|'(?:\\\\.|[^'\\\\\\n])*'|`(?:\\\\.|[^`\\\\])*`";
  return new RegExp(`(?<comment>${comment})|(?<string>${string})|(?<number>\\b\\d[\\w.]*)|(?<word>[A-Za-z_]\\w*)`, "g");
}

export function highlight(text: string, language: string): Part[] {
  if (NO_CODE.test(language) || text.length > CHARS_MAX) return [{ text, kind: null }];
  const parts: Part[] = [];
  let end = 0;
  const put = (piece: string, kind: Part["kind"]) => {
    const last = parts[parts.length - 1];
    if (kind === null && last?.kind === null) last.text += piece;
    else if (piece) parts.push({ text: piece, kind });
  };
  for (const match of text.matchAll(pattern(language))) {
    put(text.slice(end, match.index), null);
    const { comment, string, number, word } = match.groups ?? {};
    const kind = comment ? "comment" : string ? "string" : number ? "number" : word && keywords.has(word) ? "keyword" : null;
    put(match[0], kind);
    end = match.index + match[0].length;
  }
  put(text.slice(end), null);
  return parts;
}
