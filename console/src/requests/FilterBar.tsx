import { useT } from "../i18n";
import type { Filter } from "./log";

interface Props {
  filter: Filter;
  models: string[];
  shown: number;
  total: number;
  onChange: (filter: Filter) => void;
}

export function FilterBar({ filter, models, shown, total, onChange }: Props) {
  const t = useT();
  return (
    <div className="filters" role="search">
      <input
        type="search"
        className="input filter-text"
        data-slash
        aria-label={t("requests.search")}
        placeholder={t("requests.search")}
        value={filter.text}
        onChange={(event) => onChange({ ...filter, text: event.target.value })}
        onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()}
      />
      <div className="segments" role="group" aria-label={t("requests.status")}>
        {(["all", "ok", "error"] as const).map((status) => (
          <button key={status} type="button" aria-pressed={filter.status === status} onClick={() => onChange({ ...filter, status })}>
            {t(`requests.status.${status}`)}
          </button>
        ))}
      </div>
      <select
        className="select"
        aria-label={t("chat.model")}
        value={filter.model}
        onChange={(event) => onChange({ ...filter, model: event.target.value })}
      >
        <option value="">{t("requests.any_model")}</option>
        {models.map((model) => <option key={model} value={model}>{model}</option>)}
      </select>
      <span className="muted small" role="status">{t("requests.count", { shown, total })}</span>
    </div>
  );
}
