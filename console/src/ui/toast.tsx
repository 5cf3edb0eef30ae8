// Short notes at the bottom, one at a time, with one action such as "Undo". Read out politely.
import { useEffect } from "react";
import { createStore, useStore } from "../app/store";
import { useT } from "../i18n";
import { IconButton } from "./IconButton";

export interface Toast {
  text: string;
  action?: { label: string; run: () => void };
}

const SHOWN_MS = 8000;
const current = createStore<Toast | null>(null);

export function toast(next: Toast): void {
  current.set({ ...next });
}

export function Toasts() {
  const t = useT();
  const shown = useStore(current);
  useEffect(() => {
    if (!shown) return;
    const timer = setTimeout(() => current.set(null), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [shown]);
  const act = () => {
    shown?.action?.run();
    current.set(null);
  };
  return (
    <div className="toasts" role="status" aria-live="polite">
      {shown && (
        <div className="toast">
          <span>{shown.text}</span>
          {shown.action && <button type="button" className="link" onClick={act}>{shown.action.label}</button>}
          <IconButton icon="close" label={t("close")} onClick={() => current.set(null)} />
        </div>
      )}
    </div>
  );
}
