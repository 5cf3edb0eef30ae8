// One run: its graph, trace, history and data, live; what people can do to it.
import { useMemo, useState } from "react";
import { asApiError, postJson } from "../api/http";
import { useResource } from "../api/resource";
import { formatRoute, navigate, useRoute } from "../app/router";
import { useCommands } from "../app/screenCommands";
import { useT } from "../i18n";
import { CopyButton } from "../ui/CopyButton";
import { formatMs, formatNumber, formatTime } from "../ui/format";
import { Icon } from "../ui/Icon";
import { Facts, Failure, PageHead, Skeleton } from "../ui/states";
import { toast } from "../ui/toast";
import { runPath } from "./bulk";
import { BulkDialog } from "./BulkDialog";
import { SignalDialog } from "./ChangeDialogs";
import { DagView, Legend, type Note } from "./DagView";
import { stepOf } from "./document";
import { idOf, standsOf, stepsOf, type StepTrace } from "./fold";
import { HistoryView } from "./HistoryView";
import { JsonBox } from "./JsonBox";
import { StatusBadge } from "./Status";
import { StepDrawer } from "./StepDrawer";
import { TraceView } from "./TraceView";
import { isFinal, type RunGraph, type RunView, type StepView } from "./types";
import { useRun } from "./useRun";

const views = ["graph", "trace", "history", "data"] as const;
type View = (typeof views)[number];

export function RunScreen({ id }: { id: string }) {
  const t = useT();
  const { query } = useRoute();
  const live = useRun(id);
  const { run, fold, version } = live;
  const graph = useResource<RunGraph>(`${runPath(id)}/graph`);
  const [dialog, setDialog] = useState<"signal" | "cancel" | null>(null);
  const [rounds, setRounds] = useState<Record<string, string>>({});
  const view: View = views.find((each) => each === query.view) ?? "graph";
  const path = query.step ?? null;
  const go = (next: Record<string, string>) => navigate({ screen: "runs", id, query: { view: view === "graph" ? "" : view, step: path ?? "", ...next } }, "replace");

  const state = useMemo(() => (run ? stepsOf(run) : new Map<string, StepView>()), [run]);
  const stands = useMemo(() => standsOf(graph.data?.nodes ?? [], state, fold.steps, rounds), [graph.data, state, fold, version, rounds]);
  const notes = useMemo(() => notesOf(stands, state, fold.steps), [stands, state, fold, version]);
  const asking = [...state].filter(([, step]) => step.status === "waiting" && step.output !== null && typeof step.output === "object" && "ask" in step.output);
  const loops = [...state].filter(([each, step]) => (step.rounds ?? 0) > 1 && ["for_each", "while"].includes(graph.data?.nodes.find((node) => node.id === each)?.kind ?? "")).map(([each, step]) => ({ id: each, rounds: step.rounds ?? 0 }));

  const act = async (what: "pause" | "resume") => {
    try {
      await postJson(`${runPath(id)}/${what}`, { by: "console" });
    } catch (reason) {
      toast({ text: asApiError(reason).message });
    }
    live.reload();
  };
  const commands = useMemo(() => views.map((each) => ({ id: `run.${each}`, title: t(`flows.view.${each}`), group: t("flows.run"), run: () => navigate({ screen: "runs", id, query: { view: each === "graph" ? "" : each } }, "replace") })), [id, t]);
  useCommands(commands);

  if (!run) {
    return (
      <div className="page flows">
        <a className="back-link" href={formatRoute({ screen: "runs" })}><Icon name="back" size={16} /> {t("nav.runs")}</a>
        <PageHead title={t("flows.run")} />
        {live.error ? <Failure error={live.error} retry={live.reload} /> : <Skeleton lines={8} />}
      </div>
    );
  }
  const over = isFinal(run.status);
  const openStep = (each: string) => go({ step: each });
  const chosenId = path === null ? null : idOf(path);
  return (
    <div className={`requests ${path ? "with-detail" : ""}`}>
      <div className="page requests-main flows run-page">
        <a className="back-link" href={formatRoute({ screen: "runs" })}><Icon name="back" size={16} /> {t("nav.runs")}</a>
        <PageHead title={run.workflow} note={<Subtitle run={run} link={live.link} />}>
          {run.status === "running" && <button type="button" className="button" onClick={() => void act("pause")}><Icon name="pause" size={16} /> {t("flows.pause")}</button>}
          {run.status === "paused" && <button type="button" className="button primary" onClick={() => void act("resume")}><Icon name="play" size={16} /> {t("flows.resume")}</button>}
          {!over && <button type="button" className="button" onClick={() => setDialog("signal")}>{t("flows.signal")}</button>}
          {!over && <button type="button" className="button danger" onClick={() => setDialog("cancel")}><Icon name="stop" size={16} /> {t("flows.cancel")}</button>}
        </PageHead>
        {live.error && <Failure error={live.error} retry={live.reload} />}
        {run.error && <div className="answer-failure" role="note"><strong>{run.error.code}</strong><p>{run.error.message}</p></div>}
        {run.status === "paused" && run.reason && <p className="notice">{t("flows.paused_why", { why: run.reason })}</p>}
        {asking.map(([each]) => (
          <p key={each} className="notice"><span>{t("flows.asks", { step: each })}</span> <button type="button" className="button small primary" onClick={() => openStep(each)}>{t("flows.answer")}</button></p>
        ))}
        <div className="run-bar">
          <div className="segments views" role="group" aria-label={t("flows.views")}>
            {views.map((each) => <button key={each} type="button" aria-pressed={view === each} onClick={() => go({ view: each === "graph" ? "" : each })}>{t(`flows.view.${each}`)}</button>)}
          </div>
          {view === "graph" && loops.map((loop) => <RoundPicker key={loop.id} {...loop} chosen={rounds[loop.id] ?? ""} onChoose={(key) => setRounds((before) => { const next = { ...before }; if (key === "") delete next[loop.id]; else next[loop.id] = key; return next; })} />)}
        </div>
        {view === "graph" && (
          graph.error ? <Failure error={graph.error} retry={graph.reload} /> : !graph.data ? <Skeleton lines={8} /> : (
            <>
              <DagView graph={graph.data} label={t("flows.graph_of", { name: run.workflow })} notes={notes} chosen={chosenId} onChoose={(step) => openStep(pathFor(step, stands.get(step)?.paths ?? [], state))} />
              <Legend />
            </>
          )
        )}
        {view === "trace" && <TraceView fold={fold} version={version} over={over} chosen={path} onChoose={openStep} />}
        {view === "history" && <HistoryView id={id} events={live.events} before={live.before} begun_ms={run.started_ms} onStep={openStep} />}
        {view === "data" && <Data run={run} />}
      </div>
      {path && (
        <StepDrawer
          key={chosenId} run={run} path={path} node={graph.data?.nodes.find((node) => node.id === chosenId)} stand={stands.get(chosenId ?? "")}
          step={state.get(path)} trace={fold.steps.get(path)} definition={stepOf(graph.data?.document, chosenId ?? "")} events={live.events} version={version}
          onPath={openStep} onClose={() => go({ step: "" })} changed={live.reload}
        />
      )}
      {dialog === "signal" && <SignalDialog run={id} name={[...state.values()].find((step) => step.status === "waiting" && step.name && !step.name.startsWith("event/"))?.name ?? ""} onClose={() => setDialog(null)} />}
      {dialog === "cancel" && <BulkDialog kind="cancel" ids={[id]} skipped={0} onClose={() => { setDialog(null); live.reload(); }} />}
    </div>
  );
}

/** Of many rounds the one that needs looking at; of none the step itself. */
function pathFor(id: string, paths: string[], state: Map<string, StepView>): string {
  const urgent = paths.find((each) => ["failed", "waiting", "backoff", "running"].includes(state.get(each)?.status ?? ""));
  return urgent ?? (paths.length === 1 ? paths[0]! : id);
}

function notesOf(stands: ReturnType<typeof standsOf>, state: Map<string, StepView>, past: Map<string, StepTrace>): Map<string, Note> {
  const out = new Map<string, Note>();
  for (const [id, stand] of stands) {
    const only = stand.paths.length === 1 ? stand.paths[0]! : null;
    const step = only === null ? undefined : state.get(only);
    const spans = only === null ? [] : (past.get(only)?.spans ?? []);
    const begun = step?.started_ms ?? spans[0]?.from_ms;
    const end = step?.finished_ms ?? spans[spans.length - 1]?.to_ms;
    const rounds = step?.rounds ? `${step.rounds_done ?? 0}/${step.items?.length ?? step.rounds}` : "";
    out.set(id, { stand, took_ms: begun && end ? end - begun : null, attempts: step?.attempt ?? 0, rounds });
  }
  return out;
}

function Subtitle({ run, link }: { run: RunView; link: string }) {
  const t = useT();
  return (
    <span className="run-facts">
      <StatusBadge status={run.status} />
      <span>v{run.version}</span>
      <span className="mono">{run.id}</span> <CopyButton text={run.id} />
      <span>{formatTime(run.started_ms)}</span>
      {run.finished_ms && <span className="number">{formatMs(run.finished_ms - run.started_ms)}</span>}
      {run.usage.tokens > 0 && <span className="number">{t("flows.tokens", { n: formatNumber(run.usage.tokens) })}</span>}
      {run.usage.cost_usd > 0 && <span className="number">${formatNumber(run.usage.cost_usd)}</span>}
      <span role="status" className={`run-link link-${link}`}>{t(`flows.link.${link as "live"}`)}</span>
    </span>
  );
}

function RoundPicker({ id, rounds, chosen, onChoose }: { id: string; rounds: number; chosen: string; onChoose: (key: string) => void }) {
  const t = useT();
  return (
    <label className="round-picker">{t("flows.round_of", { step: id })}
      <input className="input number" type="number" min={0} max={rounds - 1} placeholder={t("flows.round.all")} value={chosen} onChange={(event) => onChoose(event.target.value)} />
    </label>
  );
}

function Data({ run }: { run: RunView }) {
  const t = useT();
  const labels = Object.entries(run.labels ?? {}).map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`).join(", ");
  return (
    <div className="columns">
      <section className="card">
        <h2>{t("request.about")}</h2>
        <Facts
          rows={[
            [t("flows.labels"), labels],
            [t("flows.steps_done"), formatNumber(run.usage.steps)],
            [t("flows.event"), formatNumber(run.events)],
            [t("flows.parent"), run.parent && <a className="mono" href={formatRoute({ screen: "runs", id: run.parent.run })}>{run.parent.run}</a>],
            [t("flows.forked_from"), run.forked_from && <a className="mono" href={formatRoute({ screen: "runs", id: run.forked_from.run, query: { step: run.forked_from.step } })}>{run.forked_from.run}: {run.forked_from.step}</a>],
          ]}
        />
      </section>
      <section className="card"><JsonBox title={t("flows.input")} value={run.input} /></section>
      {run.output !== undefined && <section className="card"><JsonBox title={t("flows.output")} value={run.output} /></section>}
      {run.vars && <section className="card"><JsonBox title={t("flows.vars")} value={run.vars} /></section>}
    </div>
  );
}
