// The models that can be served, which of them are in memory, and the switch to change that.
import { useEffect, useState } from "react";
import { ApiError, request } from "../api/http";
import type { ModelEntry, ModelState } from "../api/types";
import { useT } from "../i18n";
import { useModels } from "../models/useModels";
import { formatBytes } from "../ui/format";
import { toast } from "../ui/toast";

const REFRESH_MS = 2000;

function badgeOf(state: ModelState): string {
  if (state === "ready") return "badge badge-good";
  return state === "failed" ? "badge badge-bad" : "badge";
}

function Row({ model, changed }: { model: ModelEntry; changed: () => void }) {
  const t = useT();
  const [busy, setBusy] = useState(false);
  const loaded = model.state === "ready";
  const change = async () => {
    setBusy(true);
    try {
      await request(`/admin/v1/models/${encodeURIComponent(model.id)}/${loaded ? "unload" : "load"}`, { method: "POST" });
    } catch (error) {
      toast({ text: error instanceof ApiError ? error.message : String(error) });
    } finally {
      setBusy(false);
      changed();
    }
  };
  const moving = busy || model.state === "loading" || model.state === "unloading";
  return (
    <tr>
      <td className="mono break">{model.id}</td>
      <td>
        <span className={badgeOf(model.state)}>{t(`engine.state.${model.state}`)}</span>
        {model.state_text && <span className="muted small"> {model.state_text}</span>}
      </td>
      <td className="number">{formatBytes(model.memory_bytes)}</td>
      <td className="number">{model.requests_running}</td>
      <td>
        <button type="button" className="button" disabled={moving} onClick={() => void change()}>
          {t(loaded ? "engine.unload" : "engine.load")}
        </button>
      </td>
    </tr>
  );
}

export function MemoryTable() {
  const t = useT();
  const { data, reload } = useModels();
  useEffect(() => {
    const timer = setInterval(reload, REFRESH_MS);
    return () => clearInterval(timer);
  }, [reload]);
  if (!data) return null;
  return (
    <section className="card">
      <h2>{t("engine.models")}</h2>
      <div className="table-scroll" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th>{t("engine.model")}</th><th>{t("engine.state")}</th><th>{t("live.memory")}</th><th>{t("live.running")}</th>
              <th><span className="visually-hidden">{t("engine.action")}</span></th>
            </tr>
          </thead>
          <tbody>{data.models.map((model) => <Row key={model.id} model={model} changed={reload} />)}</tbody>
        </table>
      </div>
    </section>
  );
}
