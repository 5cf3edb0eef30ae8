// Asks before many runs are cancelled or tried again, and says how it goes.
import { useState } from "react";
import { useT } from "../i18n";
import { Dialog } from "../ui/Dialog";
import { changeRuns, type BulkKind, type Progress } from "./bulk";
import { shortId } from "./words";

interface Props {
  kind: BulkKind;
  ids: string[];
  skipped: number; // selected, but not ones this can be done to
  onClose: (changed: boolean) => void;
}

export function BulkDialog({ kind, ids, skipped, onClose }: Props) {
  const t = useT();
  const [why, setWhy] = useState("");
  const [progress, setProgress] = useState<Progress | null>(null);
  const over = progress !== null && progress.done === ids.length;
  return (
    <Dialog label={t(`flows.bulk.${kind}`, { n: ids.length })} className="sheet" onClose={() => (progress === null || over) && onClose(over)}>
      <h2>{t(`flows.bulk.${kind}`, { n: ids.length })}</h2>
      <p>{t(`flows.bulk.${kind}.what`)}</p>
      {skipped > 0 && <p className="muted">{t("flows.bulk.skipped", { n: skipped })}</p>}
      {kind === "cancel" && progress === null && <input className="input" aria-label={t("flows.why")} placeholder={t("flows.why")} value={why} onChange={(event) => setWhy(event.target.value)} />}
      {progress && <progress max={ids.length} value={progress.done} aria-label={t("flows.bulk.progress", { n: progress.done, all: ids.length })} />}
      {progress && <p role="status">{t("flows.bulk.progress", { n: progress.done, all: ids.length })}</p>}
      {progress && progress.failed.length > 0 && (
        <ul className="wrongs" role="alert">
          {progress.failed.slice(0, 20).map(({ id, message }) => <li key={id}><span className="mono">{shortId(id)}</span> {message}</li>)}
        </ul>
      )}
      <div className="row end">
        {!over && <button type="button" className="button" disabled={progress !== null} onClick={() => onClose(false)}>{t("flows.keep")}</button>}
        {!over && <button type="button" className={`button ${kind === "cancel" ? "danger" : "primary"}`} disabled={ids.length === 0 || progress !== null} onClick={() => { setProgress({ done: 0, failed: [] }); void changeRuns(kind, ids, why, setProgress); }}>{t(`flows.${kind}`)}</button>}
        {over && <button type="button" className="button primary" onClick={() => onClose(true)}>{t("close")}</button>}
      </div>
    </Dialog>
  );
}
