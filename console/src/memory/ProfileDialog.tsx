// Profile blocks of a user: the texts that are always in context.
import { useState } from "react";
import { ApiError } from "../api/http";
import { useResource } from "../api/resource";
import { useT } from "../i18n";
import { Dialog } from "../ui/Dialog";
import { toast } from "../ui/toast";
import { charsOf, send, type ProfileBlock } from "./upkeep";

function BlockForm({ block, path, saved }: { block: ProfileBlock; path: string; saved: () => void }) {
  const t = useT();
  const [text, setText] = useState(block.text);
  const chars = charsOf(text);
  const save = async () => {
    try {
      await send("PUT", path, { text, expected_version: block.version });
      saved();
    } catch (error) {
      toast({ text: error instanceof ApiError ? error.message : String(error) });
    }
  };
  return (
    <section className="memory-form">
      <h3>{block.name} <span className="muted small">{chars}/{block.limit_chars} · {t("profile.version", { n: block.version })}</span></h3>
      {block.description && <p className="muted small">{block.description}</p>}
      <textarea className="input" rows={3} aria-label={block.name} readOnly={block.read_only} value={text} onChange={(event) => setText(event.target.value)} />
      {!block.read_only && <button type="button" className="button small" disabled={text === block.text || chars > block.limit_chars} onClick={() => void save()}>{t("save")}</button>}
    </section>
  );
}

export function ProfileDialog({ user, onClose }: { user: string; onClose: () => void }) {
  const t = useT();
  const [name, setName] = useState("");
  const whose = `?user=${encodeURIComponent(user)}`;
  const blocks = useResource<{ data: ProfileBlock[] }>(`/v1/profiles${whose}`);
  const pathOf = (block: string) => `/v1/profiles/${encodeURIComponent(block)}${whose}`;
  const add = async () => {
    try {
      await send("PUT", pathOf(name), { text: "", expected_version: 0 });
      setName("");
      blocks.reload();
    } catch (error) {
      toast({ text: error instanceof ApiError ? error.message : String(error) });
    }
  };
  return (
    <Dialog label={t("profile.title")} onClose={onClose}>
      <h2>{t("profile.title")} {user && <span className="muted">{user}</span>}</h2>
      <p className="muted">{t("profile.note")}</p>
      {blocks.data?.data.map((block) => <BlockForm key={`${block.name} ${block.version}`} block={block} path={pathOf(block.name)} saved={blocks.reload} />)}
      <form
        className="row"
        onSubmit={(event) => {
          event.preventDefault();
          void add();
        }}
      >
        <input className="input" required pattern="[a-z0-9_\-]+" aria-label={t("profile.name")} placeholder={t("profile.name")} value={name} onChange={(event) => setName(event.target.value)} />
        <button type="submit" className="button">{t("profile.add")}</button>
        <button type="button" className="button" onClick={onClose}>{t("close")}</button>
      </form>
    </Dialog>
  );
}
