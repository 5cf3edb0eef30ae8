// One box, a view at a time: a prompt, live interpreters, a terminal, files, logs, what policies decided, snapshots, and
// what it may take. What it weighs loads when it is opened.
import { lazy, Suspense, useEffect, useRef, useState, type ReactNode } from "react";
import { ApiError, request } from "../api/http";
import { navigate, useRoute } from "../app/router";
import { useT } from "../i18n";
import { Dialog } from "../ui/Dialog";
import { formatBytes, formatDuration, formatMs, formatTime } from "../ui/format";
import { Facts, PageHead, Skeleton } from "../ui/states";
import { toast } from "../ui/toast";
import { appendOutput, runLine, type OutputPiece } from "./exec";
import { stateBadge } from "./SandboxesScreen";
import type { ExecEnd, Sandbox } from "./types";

const OUTPUT_CHARS_MAX = 200_000;

const TerminalView = lazy(() => import("./TerminalView").then((m) => ({ default: m.TerminalView })));
const FilesView = lazy(() => import("./FilesView").then((m) => ({ default: m.FilesView })));
const LogsView = lazy(() => import("./LogsView").then((m) => ({ default: m.LogsView })));
const DecisionsView = lazy(() => import("./DecisionsView").then((m) => ({ default: m.DecisionsView })));
const SnapshotsView = lazy(() => import("./SnapshotsView").then((m) => ({ default: m.SnapshotsView })));

const SessionsView = lazy(() => import("./SessionsView").then((m) => ({ default: m.SessionsView })));

const VIEWS = ["run", "sessions", "terminal", "files", "logs", "decisions", "snapshots", "limits"] as const;
type View = (typeof VIEWS)[number];

export function SandboxDetail({ box, changed }: { box: Sandbox; changed: () => void }) {
  const t = useT();
  const { query } = useRoute();
  const view: View = VIEWS.find((each) => each === query.view) ?? "run";
  const [busy, setBusy] = useState(false);
  const [ending, setEnding] = useState(false);
  const act = async (method: string, path: string) => {
    setBusy(true);
    try {
      await request(`/v1/sandboxes/${encodeURIComponent(box.id)}${path}`, { method });
    } catch (error) {
      toast({ text: error instanceof ApiError ? error.message : String(error) });
    } finally {
      setBusy(false);
      changed();
    }
  };
  const remove = async () => {
    setEnding(false);
    await act("DELETE", "");
    navigate({ screen: "sandboxes" });
  };
  const paused = box.state === "paused";
  const views: Record<View, () => ReactNode> = {
    run: () => <Prompt id={box.id} />,
    sessions: () => <SessionsView id={box.id} />,
    terminal: () => <TerminalView id={box.id} />,
    files: () => <FilesView id={box.id} />,
    logs: () => <LogsView id={box.id} />,
    decisions: () => <DecisionsView id={box.id} policy={box.policy} />,
    snapshots: () => <SnapshotsView box={box} changed={changed} />,
    limits: () => <LimitsView box={box} />,
  };
  return (
    <div className="page">
      <PageHead title={box.name || box.id} note={<span className="mono">{box.id}</span>}>
        <span className={stateBadge(box.state)}>{t(`sandboxes.state.${box.state}`)}</span>
        <button type="button" className="button" disabled={busy} onClick={() => void act("POST", paused ? "/resume" : "/pause")}>
          {t(paused ? "sandboxes.resume" : "sandboxes.pause")}
        </button>
        <button type="button" className="button danger" disabled={busy} onClick={() => setEnding(true)}>{t("sandboxes.remove")}</button>
      </PageHead>
      <div className="segments views" role="group" aria-label={t("sandboxes.views")}>
        {VIEWS.map((each) => (
          <button key={each} type="button" aria-pressed={each === view} onClick={() => navigate({ screen: "sandboxes", id: box.id, query: { view: each } })}>
            {t(`sandboxes.view.${each}`)}
          </button>
        ))}
      </div>
      <Suspense fallback={<Skeleton lines={4} />}>{views[view]()}</Suspense>
      {ending && (
        <Dialog label={t("sandboxes.remove")} onClose={() => setEnding(false)}>
          <h2>{t("sandboxes.remove.what", { name: box.name || box.id })}</h2>
          <p>{t("sandboxes.remove.lost")}</p>
          <div className="row">
            <button type="button" className="button" onClick={() => setEnding(false)}>{t("cancel")}</button>
            <button type="button" className="button danger" onClick={() => void remove()}>{t("sandboxes.remove")}</button>
          </div>
        </Dialog>
      )}
    </div>
  );
}

function LimitsView({ box }: { box: Sandbox }) {
  const t = useT();
  return (
      <section className="card">
        <h2>{t("sandboxes.limits")}</h2>
        <Facts
          rows={[
            [t("sandboxes.isolation"), `${box.isolation} (${box.backend})`],
            [t("sandboxes.network"), [box.network.mode, ...box.network.allow_domains].join(" ")],
            [t("sandboxes.cpus"), `${box.limits.cpus} · ${formatMs(box.usage.cpu_us / 1000)}`],
            [t("live.memory"), `${formatBytes(box.usage.memory_bytes)} / ${formatBytes(box.limits.memory_bytes)}`],
            [t("sandboxes.processes"), String(box.limits.processes_max)],
            [t("sandboxes.workspace"), formatBytes(box.limits.workspace_bytes)],
            [t("sandboxes.idle"), box.limits.idle_timeout_ms ? formatDuration(box.limits.idle_timeout_ms / 1000) : t("no")],
            [t("sandboxes.created"), formatTime(box.created_at * 1000)],
            [t("sandboxes.enforced"), box.enforced_by.length > 0 && <ul>{box.enforced_by.map((how) => <li key={how}>{how}</li>)}</ul>],
          ]}
        />
      </section>
  );
}

function Prompt({ id }: { id: string }) {
  const t = useT();
  const [line, setLine] = useState("");
  const [pieces, setPieces] = useState<OutputPiece[]>([]);
  const [end, setEnd] = useState<ExecEnd | null>(null);
  const [running, setRunning] = useState<AbortController | null>(null);
  const output = useRef<HTMLPreElement>(null);
  useEffect(() => () => running?.abort(), [running]);
  useEffect(() => {
    output.current?.scrollTo({ top: output.current.scrollHeight });
  }, [pieces]);

  const run = async () => {
    const abort = new AbortController();
    setRunning(abort);
    setEnd(null);
    setPieces([]);
    try {
      setEnd(await runLine(id, line, (piece) => setPieces((before) => appendOutput(before, piece, OUTPUT_CHARS_MAX)), abort.signal));
    } catch (error) {
      if (!abort.signal.aborted) toast({ text: error instanceof Error ? error.message : String(error) });
    } finally {
      setRunning(null);
    }
  };
  return (
    <section className="card">
      <h2>{t("sandboxes.run")}</h2>
      <form
        className="row"
        onSubmit={(event) => {
          event.preventDefault();
          if (line.trim() && !running) void run();
        }}
      >
        <input className="input mono" aria-label={t("sandboxes.line")} placeholder="python3 -c 'print(1)'" autoComplete="off" spellCheck={false} value={line} onChange={(event) => setLine(event.target.value)} />
        {running
          ? <button type="button" className="button danger" onClick={() => running.abort()}>{t("sandboxes.kill")}</button>
          : <button type="submit" className="button" disabled={!line.trim()}>{t("sandboxes.run")}</button>}
      </form>
      <pre ref={output} className="sandbox-output" tabIndex={0} aria-label={t("sandboxes.output")}>
        {pieces.map((piece, index) => <span key={index} className={`output-${piece.stream}`}>{piece.text}</span>)}
      </pre>
      <p className="muted small" role="status">
        {end && t("sandboxes.ended", { reason: end.reason, code: end.exit_code, wall: formatMs(end.wall_us / 1000), memory: formatBytes(end.peak_memory_bytes) })}
        {end && end.output_dropped > 0 && ` ${t("sandboxes.dropped", { bytes: formatBytes(end.output_dropped) })}`}
      </p>
    </section>
  );
}
