// A dialog that remembers a text.
import { useState } from "react";
import { ApiError, request } from "../api/http";
import { useT } from "../i18n";
import { Dialog } from "../ui/Dialog";
import { toast } from "../ui/toast";
import { memoryTypes, type MemoryType } from "./types";

export function AddMemory({ onClose, added }: { onClose: () => void; added: (id: string) => void }) {
  const t = useT();
  const [content, setContent] = useState("");
  const [user, setUser] = useState("");
  const [type, setType] = useState<MemoryType>("long_term");
  const [busy, setBusy] = useState(false);
  const save = async () => {
    setBusy(true);
    try {
      const response = await request("/v1/memories", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ content, type, user }),
      });
      const { id, how } = (await response.json()) as { id: string; how: string };
      if (how !== "added") toast({ text: t("memory.merged") });
      added(id);
    } catch (error) {
      toast({ text: error instanceof ApiError ? error.message : String(error) });
      setBusy(false);
    }
  };
  return (
    <Dialog label={t("memory.add")} onClose={onClose}>
      <h2>{t("memory.add")}</h2>
      <form
        className="memory-form"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <textarea className="input" rows={5} required aria-label={t("memory.content")} placeholder={t("memory.content")} value={content} onChange={(event) => setContent(event.target.value)} />
        <div className="row">
          <select className="select" aria-label={t("memory.type")} value={type} onChange={(event) => setType(event.target.value as MemoryType)}>
            {memoryTypes.map((each) => <option key={each} value={each}>{t(`memory.type.${each}`)}</option>)}
          </select>
          <input className="input" aria-label={t("memory.user")} placeholder={t("memory.user")} value={user} onChange={(event) => setUser(event.target.value)} />
        </div>
        <div className="row">
          <button type="button" className="button" onClick={onClose}>{t("cancel")}</button>
          <button type="submit" className="button primary" disabled={busy || !content.trim()}>{t("save")}</button>
        </div>
      </form>
    </Dialog>
  );
}
