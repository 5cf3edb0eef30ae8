// Numbers for people: three significant figures, the unit beside them, a dash for "none".

export const NONE = "–";

function significant(value: number): string {
  const abs = Math.abs(value);
  if (abs === 0) return "0";
  const digits = abs >= 100 ? 0 : abs >= 10 ? 1 : abs >= 1 ? 2 : 3;
  return String(Number(value.toFixed(digits)));
}

export function formatNumber(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en-US") : significant(value);
}

/** 134,515,008 as "135 M": counts where the size matters, not the last digit. */
export function formatCount(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  for (const [unit, size] of [["B", 1e9], ["M", 1e6], ["K", 1e4]] as const) {
    if (value >= size) return `${significant(value / (unit === "K" ? 1e3 : size))} ${unit}`;
  }
  return value.toLocaleString("en-US");
}

export function formatBytes(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let scaled = value;
  let unit = 0;
  while (scaled >= 1024 && unit < units.length - 1) {
    scaled /= 1024;
    unit += 1;
  }
  return `${significant(scaled)} ${units[unit]}`;
}

export function formatMs(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  if (value >= 60_000) return formatDuration(value / 1000);
  return value >= 1000 ? `${significant(value / 1000)} s` : `${significant(value)} ms`;
}

export function formatDuration(seconds: number): string {
  const total = Math.max(0, Math.floor(seconds));
  const parts = [
    [Math.floor(total / 86_400), "d"],
    [Math.floor(total / 3600) % 24, "h"],
    [Math.floor(total / 60) % 60, "min"],
    [total % 60, "s"],
  ] as const;
  const first = parts.findIndex(([n]) => n > 0);
  if (first < 0) return "0 s";
  return parts.slice(first, first + 2).map(([n, unit]) => `${n} ${unit}`).join(" ");
}

export function formatRate(value: number | null | undefined): string {
  const text = formatNumber(value);
  return text === NONE ? NONE : `${text} tok/s`;
}

/** Wall-clock time of day, with the date when it is not today's. */
export function formatTime(unixMs: number, now = Date.now()): string {
  const date = new Date(unixMs);
  const two = (n: number) => String(n).padStart(2, "0");
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  if (new Date(now).toDateString() === date.toDateString()) return clock;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock}`;
}
