// Entries by time, newest first, under the days on which they happened.
import { useT } from "../i18n";
import { formatTime } from "../ui/format";
import type { Memory } from "./types";

interface Props {
  entries: Memory[];
  openId: string | null;
  onOpen: (id: string) => void;
  more: (() => void) | null;
}

function days(entries: Memory[]): [string, Memory[]][] {
  const byDay = new Map<string, Memory[]>();
  for (const entry of entries) {
    const day = new Date(entry.created_unix_ms).toDateString();
    byDay.set(day, [...(byDay.get(day) ?? []), entry]);
  }
  return [...byDay];
}

export function Timeline({ entries, openId, onOpen, more }: Props) {
  const t = useT();
  if (entries.length === 0) return null;
  return (
    <section className="card">
      {days(entries).map(([day, of]) => (
        <section key={day} aria-label={day}>
          <h2 className="day">{day}</h2>
          <ol className="hits">
            {of.map((entry) => (
              <li key={entry.id} className="hit" aria-current={entry.id === openId || undefined}>
                <button type="button" className="hit-head" onClick={() => onOpen(entry.id)}>
                  <span className="badge">{t(`memory.type.${entry.type}`)}</span>
                  <span className="hit-text">{entry.speaker && <strong>{entry.speaker}: </strong>}{entry.content}</span>
                  <span className="muted small">{formatTime(entry.created_unix_ms)}</span>
                </button>
              </li>
            ))}
          </ol>
        </section>
      ))}
      {more && <button type="button" className="button" onClick={more}>{t("memory.more")}</button>}
    </section>
  );
}
