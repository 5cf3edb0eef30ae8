// Alarms as /v1/alarms tells of them, and what is said of them in words.
import type { Translate } from "../i18n";
import type { Json } from "./types";

export const alarmKinds = ["failure_rate", "stuck", "budget", "quarantined", "disk_free_mib"] as const;
export type AlarmKind = (typeof alarmKinds)[number];

export interface Alarm {
  workflow: string;
  phase: "quiet" | "pending" | "firing";
  since_unix_ms: number;
  number: number;
  told_unix_ms?: number;
  acked_unix_ms?: number;
  acked_by?: string;
  text: string;
  value: number;
  samples?: number;
  runs_total: number;
  runs: { id: string; at_unix_ms: number; detail: string }[];
}

export interface AlarmRule {
  name: string;
  from: "file" | "api";
  phase: Alarm["phase"];
  rule: {
    workflow?: string;
    note?: string;
    when: { [name: string]: Json };
    for?: string;
    clear_after: string;
    repeat?: string;
    webhooks?: string[];
  };
  alarms: Alarm[];
  silenced_until_unix_ms?: number;
  silenced_by?: string;
}

export interface AlarmList {
  firing: number;
  data: AlarmRule[];
  webhooks: { name: string; host: string }[];
}

export interface AlarmLine {
  number: number;
  at_unix_ms: number;
  name: string;
  what: "fired" | "reminded" | "resolved" | "acknowledged" | "silenced" | "unsilenced" | "added" | "removed";
  workflow?: string;
  by?: string;
  text?: string;
}

export interface Delivery {
  id: string;
  name: string;
  workflow?: string;
  webhook: string;
  status: "due" | "delivered" | "dead";
  attempts: number;
  made_unix_ms: number;
  next_unix_ms?: number;
  error?: string;
}

const text = (value: Json | undefined) => (typeof value === "string" ? value : JSON.stringify(value));

/** A rule's condition in words. */
export function whenWords(when: AlarmRule["rule"]["when"], t: Translate): string {
  const over = text(when.over);
  if (typeof when.failure_rate === "number") return t("alarms.when.failure_rate", { share: Math.round(when.failure_rate * 1000) / 10, over, n: text(when.at_least) });
  if (when.stuck !== undefined) return t("alarms.when.stuck", { time: text(when.stuck) });
  if (when.quarantined !== undefined) return t("alarms.when.quarantined", { over });
  if (when.disk_free_mib !== undefined) return t("alarms.when.disk_free_mib", { mib: text(when.disk_free_mib) });
  const [unit, limit] = Object.entries((when.budget ?? {}) as { [name: string]: Json })[0] ?? ["tokens", 0];
  return t(when.per === "day" ? "alarms.when.budget_day" : "alarms.when.budget_run", { limit: text(limit), unit: t(`alarms.unit.${unit as "tokens" | "cost_usd" | "seconds"}`) });
}

/** What fires, the newest first: each with its rule. */
export function firing(list: AlarmList): { rule: AlarmRule; alarm: Alarm }[] {
  return list.data
    .flatMap((rule) => rule.alarms.map((alarm) => ({ rule, alarm })))
    .filter(({ alarm }) => alarm.phase === "firing")
    .sort((a, b) => b.alarm.since_unix_ms - a.alarm.since_unix_ms || a.rule.name.localeCompare(b.rule.name));
}

/** The condition that a form's fields say. */
export function whenOf(kind: AlarmKind, limit: string, over: string, unit: string, per: string): AlarmRule["rule"]["when"] | null {
  const number = Number(limit);
  const good = limit.trim() !== "" && Number.isFinite(number) && number > 0;
  if (kind === "stuck") return limit.trim() ? { stuck: limit.trim() } : null;
  if (kind === "quarantined") return { quarantined: true, ...(over.trim() ? { over: over.trim() } : {}) };
  if (!good) return null;
  if (kind === "failure_rate") return { failure_rate: number / 100, ...(over.trim() ? { over: over.trim() } : {}) };
  if (kind === "budget") return { budget: { [unit]: number }, per };
  return { disk_free_mib: number };
}
