// Dialogs that change a run: a signal, another try of a step, a run that forks off at one.
import { useState, type ReactNode } from "react";
import { ApiError, asApiError, postJson } from "../api/http";
import { navigate } from "../app/router";
import { useT } from "../i18n";
import { Dialog } from "../ui/Dialog";
import { toast } from "../ui/toast";
import { runPath } from "./bulk";
import { JsonField, parsed, pretty } from "./JsonBox";
import type { Json } from "./types";

interface FrameProps {
  title: string;
  note: string;
  action: string;
  ready: boolean;
  send: () => Promise<void>;
  onClose: () => void;
  children: ReactNode;
}

/** Sends once, closes when that worked, shows the refusal else. */
function ChangeFrame({ title, note, action, ready, send, onClose, children }: FrameProps) {
  const t = useT();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const go = async () => {
    setBusy(true);
    try {
      await send();
      onClose();
    } catch (reason) {
      setError(asApiError(reason));
      setBusy(false);
    }
  };
  return (
    <Dialog label={title} className="sheet" onClose={onClose}>
      <h2>{title}</h2>
      <p className="muted">{note}</p>
      <form className="memory-form" onSubmit={(event) => { event.preventDefault(); if (ready) void go(); }}>
        {children}
        {error && <p className="wrong" role="alert">{error.kind === "not_found" && /route|path|endpoint/i.test(error.message) ? t("flows.not_here") : error.message}</p>}
        <div className="row end">
          <button type="button" className="button" onClick={onClose}>{t("cancel")}</button>
          <button type="submit" className="button primary" disabled={busy || !ready}>{action}</button>
        </div>
      </form>
    </Dialog>
  );
}

export function SignalDialog({ run, name: known, onClose }: { run: string; name: string; onClose: () => void }) {
  const t = useT();
  const [name, setName] = useState(known);
  const [text, setText] = useState("");
  const body = parsed(text);
  return (
    <ChangeFrame title={t("flows.signal")} note={t("flows.signal.note")} action={t("flows.send")} ready={name.trim() !== "" && body !== null} onClose={onClose}
      send={async () => {
        await postJson(`${runPath(run)}/signals/${encodeURIComponent(name.trim())}`, body?.value);
        toast({ text: t("flows.signal.sent", { name: name.trim() }) });
      }}>
      <label className="field"><span>{t("flows.signal.name")}</span><input className="input" required value={name} onChange={(event) => setName(event.target.value)} /></label>
      <JsonField label={t("flows.signal.payload")} text={text} rows={4} onChange={setText} />
    </ChangeFrame>
  );
}

/** `request`: what the step was called with; undefined for steps that call nothing. */
export function RetryDialog({ run, path, request, onClose, changed }: { run: string; path: string; request: Json | undefined; onClose: () => void; changed: () => void }) {
  const t = useT();
  const begun = pretty(request);
  const [text, setText] = useState(begun);
  const read = parsed(text);
  const edited = text !== begun && read?.value !== undefined;
  return (
    <ChangeFrame title={t("flows.retry.title", { step: path })} note={t("flows.retry.note")} action={t("flows.retry")} ready={read !== null} onClose={onClose}
      send={async () => {
        await postJson(`${runPath(run)}/retry`, { step: path, by: "console", ...(edited ? { with: read.value } : {}) });
        changed();
      }}>
      {request !== undefined && request !== null && <JsonField label={t("flows.retry.with")} text={text} rows={10} onChange={setText} />}
    </ChangeFrame>
  );
}

export function ForkDialog({ run, path, input, request, onClose }: { run: string; path: string; input: Json; request: Json | undefined; onClose: () => void }) {
  const t = useT();
  const [begun, begunWith] = [pretty(input), pretty(request)];
  const [text, setText] = useState(begun);
  const [own, setOwn] = useState(begunWith);
  const [inputRead, ownRead] = [parsed(text), parsed(own)];
  return (
    <ChangeFrame title={t("flows.fork.title", { step: path })} note={t("flows.fork.note")} action={t("flows.fork")} ready={inputRead !== null && ownRead !== null} onClose={onClose}
      send={async () => {
        const made = await postJson<{ id: string }>(`${runPath(run)}/fork`, {
          step: path,
          ...(text !== begun && inputRead?.value !== undefined ? { input: inputRead.value } : {}),
          ...(own !== begunWith && ownRead?.value !== undefined ? { with: ownRead.value } : {}),
        });
        navigate({ screen: "runs", id: made.id });
      }}>
      <JsonField label={t("flows.input")} text={text} rows={6} onChange={setText} />
      {request !== undefined && request !== null && <JsonField label={t("flows.retry.with")} text={own} rows={8} onChange={setOwn} />}
    </ChangeFrame>
  );
}
