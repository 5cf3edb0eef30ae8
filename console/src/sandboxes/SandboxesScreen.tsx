// Sandboxes: which boxes there are, one of them with a prompt, the stop button, and what this host
// can enforce.
import { useEffect, useState } from "react";
import { ApiError, request } from "../api/http";
import { useResource } from "../api/resource";
import { formatRoute, navigate, useRoute } from "../app/router";
import { useT } from "../i18n";
import { Dialog } from "../ui/Dialog";
import { formatBytes, formatMs, formatTime } from "../ui/format";
import { Empty, Failure, PageHead, Skeleton } from "../ui/states";
import { toast } from "../ui/toast";
import { HostCard } from "./HostCard";
import { SandboxDetail } from "./SandboxDetail";
import type { Sandbox, SandboxList, SandboxState } from "./types";

const REFRESH_MS = 2000;

export function stateBadge(state: SandboxState): string {
  if (state === "ready" || state === "executing") return "badge badge-good";
  return state === "paused" ? "badge" : "badge badge-bad";
}

function tell(error: unknown): void {
  toast({ text: error instanceof ApiError ? error.message : String(error) });
}

function Table({ boxes }: { boxes: Sandbox[] }) {
  const t = useT();
  return (
    <div className="table-scroll" tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th>{t("sandboxes.box")}</th><th>{t("sandboxes.state")}</th><th>{t("sandboxes.isolation")}</th>
            <th>{t("sandboxes.network")}</th><th>{t("live.memory")}</th><th>{t("sandboxes.cpu")}</th>
            <th>{t("sandboxes.execs")}</th><th>{t("sandboxes.created")}</th>
          </tr>
        </thead>
        <tbody>
          {boxes.map((box) => (
            <tr key={box.id}>
              <td><a className="mono break" href={formatRoute({ screen: "sandboxes", id: box.id })}>{box.name || box.id}</a></td>
              <td><span className={stateBadge(box.state)}>{t(`sandboxes.state.${box.state}`)}</span></td>
              <td>{box.isolation} <span className="muted small">{box.backend}</span></td>
              <td>{box.network.mode}</td>
              <td className="number">{formatBytes(box.usage.memory_bytes)}</td>
              <td className="number">{formatMs(box.usage.cpu_us / 1000)}</td>
              <td className="number">{box.usage.execs}</td>
              <td className="number">{formatTime(box.created_at * 1000)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function StopDialog({ onClose, done }: { onClose: () => void; done: () => void }) {
  const t = useT();
  const stop = async () => {
    onClose();
    try {
      const response = await request("/v1/emergency_stop", { method: "POST" });
      const { stopped } = (await response.json()) as { stopped: number };
      toast({
        text: t("sandboxes.stopped", { n: stopped }),
        action: { label: t("sandboxes.lift"), run: () => void lift() },
      });
    } catch (error) {
      tell(error);
    }
    done();
  };
  const lift = async () => {
    try {
      await request("/v1/emergency_stop", { method: "DELETE" });
      toast({ text: t("sandboxes.lifted") });
    } catch (error) {
      tell(error);
    }
  };
  return (
    <Dialog label={t("sandboxes.stop")} onClose={onClose}>
      <h2>{t("sandboxes.stop")}</h2>
      <p>{t("sandboxes.stop.what")}</p>
      <div className="row">
        <button type="button" className="button" onClick={onClose}>{t("cancel")}</button>
        <button type="button" className="button danger" onClick={() => void stop()}>{t("sandboxes.stop")}</button>
      </div>
    </Dialog>
  );
}

export function SandboxesScreen() {
  const t = useT();
  const { id } = useRoute();
  const { data, error, reload } = useResource<SandboxList>("/v1/sandboxes");
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    const timer = setInterval(reload, REFRESH_MS);
    return () => clearInterval(timer);
  }, [reload]);

  const create = async () => {
    setBusy(true);
    try {
      const response = await request("/v1/sandboxes", { method: "POST" });
      const box = (await response.json()) as Sandbox;
      reload();
      navigate({ screen: "sandboxes", id: box.id });
    } catch (reason) {
      tell(reason);
    } finally {
      setBusy(false);
    }
  };

  const open = data?.data.find((box) => box.id === id);
  if (open) return <SandboxDetail box={open} changed={reload} />;
  return (
    <div className="page">
      <PageHead title={t("nav.sandboxes")} note={t("sandboxes.note")}>
        <button type="button" className="button" disabled={busy} onClick={() => void create()}>{t("sandboxes.create")}</button>
        <button type="button" className="button danger" onClick={() => setAsking(true)}>{t("sandboxes.stop")}</button>
      </PageHead>
      {error && !data && <Failure error={error} retry={reload} />}
      {!error && !data && <Skeleton lines={5} />}
      {id && data && !open && <p role="alert">{t("sandboxes.unknown", { id })}</p>}
      {data?.data.length === 0 && <Empty title={t("sandboxes.none")}>{t("sandboxes.none.do")}</Empty>}
      {data && data.data.length > 0 && <Table boxes={data.data} />}
      <HostCard />
      {asking && <StopDialog onClose={() => setAsking(false)} done={reload} />}
    </div>
  );
}
