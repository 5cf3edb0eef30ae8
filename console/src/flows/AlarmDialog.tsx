// A new rule: what to watch, when it is too much, and whom to tell.
import { useState } from "react";
import { ApiError, asApiError, postJson } from "../api/http";
import { useT } from "../i18n";
import { Dialog } from "../ui/Dialog";
import { toast } from "../ui/toast";
import { alarmKinds, whenOf, type AlarmKind } from "./alarms";

const LIMITS: Record<AlarmKind, string> = { failure_rate: "20", stuck: "1h", budget: "100000", quarantined: "", disk_free_mib: "1024" };

export function AlarmDialog({ webhooks, onClose }: { webhooks: { name: string }[]; onClose: () => void }) {
  const t = useT();
  const [name, setName] = useState("");
  const [kind, setKind] = useState<AlarmKind>("failure_rate");
  const [limit, setLimit] = useState(LIMITS.failure_rate);
  const [over, setOver] = useState("");
  const [unit, setUnit] = useState("tokens");
  const [per, setPer] = useState("run");
  const [workflow, setWorkflow] = useState("");
  const [note, setNote] = useState("");
  const [told, setTold] = useState<string[]>([]);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const when = whenOf(kind, limit, over, unit, per);
  const send = async () => {
    setBusy(true);
    try {
      await postJson("/v1/alarms", {
        name: name.trim(),
        when,
        ...(workflow.trim() ? { workflow: workflow.trim() } : {}),
        ...(note.trim() ? { note: note.trim() } : {}),
        ...(told.length ? { webhooks: told } : {}),
      });
      toast({ text: `${name.trim()}: ${t("alarms.what.added")}` });
      onClose();
    } catch (reason) {
      setError(asApiError(reason));
      setBusy(false);
    }
  };
  const windowed = kind === "failure_rate" || kind === "quarantined";
  return (
    <Dialog label={t("alarms.add")} className="sheet" onClose={onClose}>
      <h2>{t("alarms.add")}</h2>
      <form className="memory-form" onSubmit={(event) => { event.preventDefault(); if (when && name.trim()) void send(); }}>
        <label className="field">{t("flows.name")}<input className="input" value={name} onChange={(event) => setName(event.target.value)} autoFocus /></label>
        <label className="field">{t("alarms.kind")}
          <select className="select" value={kind} onChange={(event) => { const next = event.target.value as AlarmKind; setKind(next); setLimit(LIMITS[next]); }}>
            {alarmKinds.map((each) => <option key={each} value={each}>{t(`alarms.kind.${each}`)}</option>)}
          </select>
        </label>
        {kind !== "quarantined" && <label className="field">{t(`alarms.limit.${kind}`)}<input className="input" value={limit} onChange={(event) => setLimit(event.target.value)} /></label>}
        {kind === "budget" && (
          <div className="row">
            <label className="field">{t("flows.form.value")}
              <select className="select" value={unit} onChange={(event) => setUnit(event.target.value)}>
                {(["tokens", "cost_usd", "seconds"] as const).map((each) => <option key={each} value={each}>{t(`alarms.unit.${each}`)}</option>)}
              </select>
            </label>
            <label className="field">{t("flows.kind")}
              <select className="select" value={per} onChange={(event) => setPer(event.target.value)}>
                {(["run", "day"] as const).map((each) => <option key={each} value={each}>{t(`alarms.per.${each}`)}</option>)}
              </select>
            </label>
          </div>
        )}
        {windowed && <label className="field">{t("alarms.over")}<input className="input" value={over} placeholder={kind === "failure_rate" ? "15m" : "1h"} onChange={(event) => setOver(event.target.value)} /></label>}
        {kind !== "disk_free_mib" && <label className="field">{t("flows.column.workflow")}<input className="input" value={workflow} placeholder={t("flows.round.all")} onChange={(event) => setWorkflow(event.target.value)} /></label>}
        <label className="field">{t("flows.comment")}<input className="input" value={note} onChange={(event) => setNote(event.target.value)} /></label>
        {webhooks.length > 1 && (
          <fieldset className="form-group">
            <legend>{t("alarms.told")}</legend>
            {webhooks.map((each) => (
              <label key={each.name} className="check-field"><input type="checkbox" checked={told.includes(each.name)} onChange={(event) => setTold(event.target.checked ? [...told, each.name] : told.filter((one) => one !== each.name))} /> {each.name}</label>
            ))}
          </fieldset>
        )}
        {error && <p className="wrong" role="alert">{error.message}</p>}
        <div className="row end">
          <button type="button" className="button" onClick={onClose}>{t("cancel")}</button>
          <button type="submit" className="button primary" disabled={busy || !when || !name.trim()}>{t("alarms.add")}</button>
        </div>
      </form>
    </Dialog>
  );
}
