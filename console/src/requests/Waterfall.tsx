// Where a request's time went: one bar a span, on one axis. As a list, so it reads aloud in order.
import type { RequestRecord } from "../api/types";
import { useT } from "../i18n";
import { formatMs } from "../ui/format";
import { waterfall } from "./log";

export function Waterfall({ record }: { record: RequestRecord }) {
  const t = useT();
  const { bars, total_ms } = waterfall(record);
  if (bars.length === 0) return <p className="muted small">{t("request.no_spans")}</p>;
  return (
    <ol className="waterfall" aria-label={t("request.timing")}>
      {bars.map((bar) => (
        <li key={bar.name}>
          <span className="waterfall-name">{t(`phase.${bar.name}`)}</span>
          <span className="waterfall-track" aria-hidden="true">
            <span
              className={`waterfall-bar span-${bar.name}`}
              style={{ left: `${bar.left_percent}%`, width: `max(2px, ${bar.width_percent}%)` }}
            />
          </span>
          <span className="number waterfall-ms">{formatMs(bar.end_ms - bar.start_ms)}</span>
        </li>
      ))}
      <li className="waterfall-axis muted small" aria-hidden="true">
        <span />
        <span className="waterfall-ends"><span>0</span><span>{formatMs(total_ms)}</span></span>
        <span />
      </li>
    </ol>
  );
}
