// Kept states of a box's files: make one, begin a new box with one, remove one; and fork the box.
import { useState } from "react";
import { request } from "../api/http";
import { useResource } from "../api/resource";
import { navigate } from "../app/router";
import { useT } from "../i18n";
import { formatBytes, formatCount, formatTime } from "../ui/format";
import { Empty, Failure } from "../ui/states";
import { toast } from "../ui/toast";
import { tell } from "./FilesView";
import type { Sandbox, Snapshot, SnapshotList } from "./types";

export function SnapshotsView({ box, changed }: { box: Sandbox; changed: () => void }) {
  const t = useT();
  const [busy, setBusy] = useState(false);
  const [name, setName] = useState("");
  const [persist, setPersist] = useState(false);
  const { data, error, reload } = useResource<SnapshotList>("/v1/snapshots");
  const missing = error?.kind === "not_found";
  const path = `/v1/sandboxes/${encodeURIComponent(box.id)}`;

  const act = async (method: string, url: string, body?: object): Promise<unknown> => {
    setBusy(true);
    try {
      const response = await request(url, { method, headers: { "Content-Type": "application/json" }, ...(body ? { body: JSON.stringify(body) } : {}) });
      return await response.json();
    } catch (reason) {
      tell(reason);
      return null;
    } finally {
      setBusy(false);
      reload();
      changed();
    }
  };
  const open = (made: unknown) => {
    if (!made) return;
    toast({ text: t("sandboxes.snapshots.made") });
    navigate({ screen: "sandboxes", id: (made as Sandbox).id });
  };
  const begin = (snapshot: Snapshot) => act("POST", "/v1/sandboxes", { snapshot: snapshot.id, limits: box.limits, network: box.network }).then(open);
  return (
    <section className="card">
      <h2>{t("sandboxes.snapshots")}</h2>
      <p className="muted">{t("sandboxes.snapshots.note")}</p>
      {missing
        ? <Empty title={t("sandboxes.snapshots.missing")} />
        : (
          <form
            className="row"
            onSubmit={(event) => {
              event.preventDefault();
              void act("POST", `${path}/snapshots`, { name, persist }).then((made) => made && setName(""));
            }}
          >
            <input className="input filter-text" aria-label={t("sandboxes.snapshots.name")} placeholder={t("sandboxes.snapshots.name")} maxLength={63} value={name} onChange={(event) => setName(event.target.value)} />
            <label className="row"><input type="checkbox" checked={persist} onChange={(event) => setPersist(event.target.checked)} />{t("sandboxes.snapshots.persist")}</label>
            <button type="submit" className="button" disabled={busy}>{t("sandboxes.snapshots.take")}</button>
            <button type="button" className="button" disabled={busy} onClick={() => void act("POST", `${path}/fork`).then(open)}>{t("sandboxes.snapshots.fork")}</button>
          </form>
        )}
      {error && !missing && !data && <Failure error={error} retry={reload} />}
      {data?.data.length === 0 && <Empty title={t("sandboxes.snapshots.none")} />}
      {data && data.data.length > 0 && (
        <div className="table-scroll" tabIndex={0}>
          <table>
            <thead><tr><th>{t("sandboxes.snapshots.name")}</th><th>{t("sandboxes.created")}</th><th>{t("sandboxes.snapshots.from")}</th><th>{t("sandboxes.files")}</th><th>{t("sandboxes.snapshots.kept")}</th><th>{t("engine.action")}</th></tr></thead>
            <tbody>
              {data.data.map((each) => (
                <tr key={each.id}>
                  <td className="break">{each.name || <span className="mono">{each.id}</span>}</td>
                  <td className="number">{formatTime(each.created_at * 1000)}</td>
                  <td className="mono break">{each.from}</td>
                  <td className="number">{formatCount(each.entries)} · {formatBytes(each.bytes)}</td>
                  <td>{t(each.persist ? "sandboxes.snapshots.disk" : "sandboxes.snapshots.memory")}</td>
                  <td>
                    <div className="row">
                      <button type="button" className="button small" disabled={busy} onClick={() => void begin(each)}>{t("sandboxes.create")}</button>
                      <button type="button" className="button small danger" disabled={busy} onClick={() => void act("DELETE", `/v1/snapshots/${encodeURIComponent(each.id)}`)}>{t("sandboxes.files.delete")}</button>
                    </div>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
