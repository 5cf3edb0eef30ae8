// All KV pages as one bar: held by requests, kept for prompts to come, free.
import { useT } from "../i18n";
import { formatNumber } from "../ui/format";
import type { Pages } from "./figures";

export function PageBar({ pages }: { pages: Pages }) {
  const t = useT();
  const total = pages.held + pages.cached + pages.free;
  if (total === 0) return null;
  const parts = [
    ["held", t("engine.held"), pages.held],
    ["cached", t("engine.cached"), pages.cached],
    ["free", t("engine.free"), pages.free],
  ] as const;
  return (
    <figure className="card page-bar">
      <figcaption>
        <h2>{t("engine.pages")}</h2>
        <ul className="legend">
          {parts.map(([part, label, count]) => (
            <li key={part}>
              <span className={`swatch pages-${part}`} aria-hidden="true" />
              {label} <strong className="number">{formatNumber(count)}</strong>
            </li>
          ))}
        </ul>
      </figcaption>
      <div className="page-bar-track" role="img" aria-label={parts.map(([, label, count]) => `${label} ${count}`).join(", ")}>
        {parts.map(([part, , count]) => (
          <span key={part} className={`pages-${part}`} style={{ flexGrow: count }} />
        ))}
      </div>
    </figure>
  );
}
