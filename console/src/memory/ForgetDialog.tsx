// Forgetting for good: what would go is shown first; the receipt is followed until it is done.
import { useEffect, useState } from "react";
import { ApiError, getJson } from "../api/http";
import { useT } from "../i18n";
import { Dialog } from "../ui/Dialog";
import { formatBytes, formatTime } from "../ui/format";
import { Facts } from "../ui/states";
import { toast } from "../ui/toast";
import { countsText, send, type Aim, type ForgetPreview, type Receipt } from "./upkeep";

const LOOK_AGAIN_MS = 500;
const aims: Aim[] = ["subject", "user", "session", "document"];

/** BASE/ID names a document. */
function target(aim: Aim, name: string) {
  if (aim !== "document") return { [aim]: name };
  const slash = name.indexOf("/");
  return { document: { base: name.slice(0, Math.max(slash, 0)), id: name.slice(slash + 1) } };
}

const told = (error: unknown) => toast({ text: error instanceof ApiError ? error.message : String(error) });

function ReceiptView({ receipt }: { receipt: Receipt }) {
  const t = useT();
  const { scan } = receipt;
  return (
    <>
      {!receipt.done_unix_ms && <progress aria-label={t("forget.erasing")} value={receipt.progress} max={1} />}
      {receipt.error && <p className="danger">{receipt.error}</p>}
      <Facts
        rows={[
          [t("forget.receipt"), <span className="mono">{receipt.id}</span>],
          [t("forget.gone"), countsText(receipt.counts) || t("forget.nothing")],
          [t("forget.hidden"), formatTime(receipt.hidden_unix_ms)],
          ...(receipt.unreadable_unix_ms ? [[t("forget.unreadable"), formatTime(receipt.unreadable_unix_ms)] as [string, string]] : []),
          [t("forget.deadline"), formatTime(receipt.deadline_unix_ms)],
          [t("forget.done"), receipt.done_unix_ms ? formatTime(receipt.done_unix_ms) : t("forget.erasing")],
          [t("forget.scan"), scan ? t(scan.clean ? "forget.clean" : "forget.unclean", { bytes: formatBytes(scan.bytes), needles: scan.needles, hits: scan.hits }) : ""],
          [t("forget.proof"), <span className="mono break">{receipt.ids_sha256}</span>],
        ]}
      />
    </>
  );
}

export function ForgetDialog({ onClose, changed }: { onClose: () => void; changed: () => void }) {
  const t = useT();
  const [aim, setAim] = useState<Aim>("subject");
  const [name, setName] = useState("");
  const [preview, setPreview] = useState<ForgetPreview | null>(null);
  const [receipt, setReceipt] = useState<Receipt | null>(null);
  const [busy, setBusy] = useState(false);

  const open = receipt && !receipt.done_unix_ms ? receipt.id : null;
  useEffect(() => {
    if (!open) return;
    const timer = setInterval(() => {
      getJson<Receipt>(`/v1/memories/forgets/${open}`).then(setReceipt, told);
    }, LOOK_AGAIN_MS);
    return () => clearInterval(timer);
  }, [open]);

  const ask = async (dryRun: boolean) => {
    setBusy(true);
    try {
      const body = { ...target(aim, name), dry_run: dryRun };
      if (dryRun) {
        setPreview(await send<ForgetPreview>("POST", "/v1/memories/forget", body));
      } else {
        setReceipt(await send<Receipt>("POST", "/v1/memories/forget", body));
        changed();
      }
    } catch (error) {
      told(error);
    } finally {
      setBusy(false);
    }
  };

  return (
    <Dialog label={t("forget.title")} onClose={onClose}>
      <h2>{t("forget.title")}</h2>
      {receipt ? (
        <ReceiptView receipt={receipt} />
      ) : (
        <form
          className="memory-form"
          onSubmit={(event) => {
            event.preventDefault();
            void ask(true);
          }}
        >
          <p className="muted">{t("forget.note")}</p>
          <div className="row">
            <select className="select" aria-label={t("forget.aim")} value={aim} onChange={(event) => { setAim(event.target.value as Aim); setPreview(null); }}>
              {aims.map((each) => <option key={each} value={each}>{t(`forget.aim.${each}`)}</option>)}
            </select>
            <input className="input" required aria-label={t("forget.name")} placeholder={t(aim === "document" ? "forget.document" : "forget.name")} value={name} onChange={(event) => { setName(event.target.value); setPreview(null); }} />
          </div>
          {preview && (
            <div role="status">
              <p><strong>{countsText(preview.counts) || t("forget.nothing")}</strong></p>
              {preview.names.length > 0 && <p className="muted small">{t("forget.names", { names: preview.names.join(", ") })}</p>}
              <ul className="muted small mono">
                {preview.memories.slice(0, 10).map((each) => <li key={each.id}>{each.id} · {each.why}</li>)}
              </ul>
            </div>
          )}
          <div className="row">
            <button type="button" className="button" onClick={onClose}>{t("cancel")}</button>
            <button type="submit" className="button" disabled={busy || !name.trim()}>{t("forget.look")}</button>
            <button type="button" className="button danger" disabled={busy || !preview} onClick={() => void ask(false)}>{t("forget.do")}</button>
          </div>
        </form>
      )}
      {receipt && <div className="row"><button type="button" className="button" onClick={onClose}>{t("close")}</button></div>}
    </Dialog>
  );
}
