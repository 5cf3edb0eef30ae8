// Ranks what the palette shows: letters of the query in order, best where they start words or
// stand together.

/** Higher is better; null when `text` lacks a letter of `query`. */
export function fuzzyScore(query: string, text: string): number | null {
  const wanted = query.toLowerCase().replace(/\s+/g, "");
  const inside = text.toLowerCase();
  let score = 0;
  let at = -1;
  for (const letter of wanted) {
    const found = inside.indexOf(letter, at + 1);
    if (found < 0) return null;
    const startsWord = found === 0 || /[\s/._-]/.test(inside[found - 1] ?? "");
    score += found === at + 1 ? 3 : startsWord ? 2 : 0;
    score -= (found - at - 1) * 0.05;
    at = found;
  }
  return score;
}

/** Matching items, best first; equal ones keep their order. An empty query keeps all. */
export function fuzzyFilter<T>(query: string, items: T[], textOf: (item: T) => string): T[] {
  if (!query.trim()) return items;
  return items
    .map((item, index) => ({ item, index, score: fuzzyScore(query, textOf(item)) }))
    .filter((row): row is typeof row & { score: number } => row.score !== null)
    .sort((a, b) => b.score - a.score || a.index - b.index)
    .map((row) => row.item);
}
