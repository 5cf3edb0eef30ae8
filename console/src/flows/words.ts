// Words for what runs are and wait for. The same ones as `dougong flow list` prints.
import type { Translate } from "../i18n";
import { formatCount, formatMs, formatTime } from "../ui/format";
import type { RunHead } from "./types";

const SHOWN = 3;

/** "human:gate" as "a person: gate". */
export function waitWord(waiting: string, t: Translate): string {
  const cut = /^(human:|signal:|event\/|time:|quarantine:)(.*)$/s.exec(waiting);
  if (!cut) return waiting;
  const [, kind, name = ""] = cut;
  if (kind === "human:") return t("flows.wait.human", { name });
  if (kind === "signal:") return t("flows.wait.signal", { name });
  if (kind === "event/") return t("flows.wait.event", { name });
  if (kind === "quarantine:") return t("flows.wait.quarantine", { name });
  return t("flows.wait.time", { name });
}

/** All that a run waits for, in one line; empty when it waits for nothing. */
export function waitWords(head: Pick<RunHead, "waiting" | "due_unix_ms">, t: Translate): string {
  const all = head.waiting ?? [];
  if (all.length === 0) return "";
  const words = all.slice(0, SHOWN).map((each) => waitWord(each, t));
  const [only] = all;
  if (all.length === 1 && only?.startsWith("time:") && head.due_unix_ms) {
    words[0] += `, ${t("flows.wait.until", { time: formatTime(head.due_unix_ms) })}`;
  }
  const more = all.length > SHOWN ? ` ${t("flows.wait.more", { n: all.length - SHOWN })}` : "";
  return t("flows.wait", { what: words.join(", ") + more });
}

/** A run's id without what all ids share: enough to tell runs apart in a table. */
export function shortId(id: string): string {
  return id.length > 16 ? `${id.slice(0, 10)}…${id.slice(-5)}` : id;
}

const dollars = (cost: number) => `$${cost >= 0.01 ? cost.toFixed(2) : cost.toPrecision(2)}`;

/** What a run used, for a narrow column: tokens and money, where it used any. */
export function usedShort({ totals }: Pick<RunHead, "totals">): string {
  if (!totals) return "";
  const parts = [totals.tokens > 0 ? formatCount(totals.tokens) : "", totals.cost_usd > 0 ? dollars(totals.cost_usd) : ""];
  return parts.filter(Boolean).join(" · ") || "–";
}

/** The same at length, with the time it worked and waited. */
export function usedWords({ totals }: Pick<RunHead, "totals">, t: Translate): string {
  if (!totals) return "";
  return [
    t("flows.tokens", { n: totals.tokens.toLocaleString("en-US") }),
    dollars(totals.cost_usd),
    t("flows.steps", { n: totals.steps }),
    `${t("flows.status.running")} ${formatMs(totals.working_ms)}`,
    `${t("flows.status.waiting")} ${formatMs(totals.waiting_ms)}`,
  ].join(", ");
}
