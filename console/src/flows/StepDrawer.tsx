// One step of a run: how it stands, what it got and gave, its attempts, and what can be done.
import { useEffect, useRef, useState } from "react";
import { useResource } from "../api/resource";
import { formatRoute } from "../app/router";
import { useT } from "../i18n";
import { formatMs, formatNumber, formatTime } from "../ui/format";
import { Icon } from "../ui/Icon";
import { IconButton } from "../ui/IconButton";
import { Facts } from "../ui/states";
import { runPath } from "./bulk";
import { ForkDialog, RetryDialog, SignalDialog } from "./ChangeDialogs";
import { idOf, type Stand, type StepTrace } from "./fold";
import { eventText } from "./HistoryView";
import { HumanForm } from "./HumanForm";
import { JsonBox } from "./JsonBox";
import { StatusBadge, StatusMark, statusKey } from "./Status";
import { isFinal, type GraphNode, type Json, type Question, type RunEvent, type RunView, type StepView } from "./types";
import { useFork } from "./useFork";

const INSTANCES_MAX = 200;
const EVENTS_SHOWN = 50;

interface Props {
  run: RunView;
  path: string;
  node: GraphNode | undefined;
  stand: Stand | undefined;
  step: StepView | undefined;
  trace: StepTrace | undefined;
  definition: Json | undefined;
  events: RunEvent[];
  version: number;
  onPath: (path: string) => void;
  onClose: () => void;
  changed: () => void;
}

export function StepDrawer(props: Props) {
  const { run, path, node, stand, onPath, onClose } = props;
  const t = useT();
  const head = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    head.current?.focus();
    return () => {
      if (before && "focus" in before && before.isConnected) (before as HTMLElement).focus();
    };
  }, []);
  const paths = stand?.paths ?? [];
  const known = (props.step !== undefined && props.step.status !== "pending") || (props.trace?.spans.length ?? 0) > 0;
  return (
    <aside className="drawer step-drawer" aria-label={t("flows.step")} onKeyDown={(event) => event.key === "Escape" && onClose()}>
      <header className="dialog-head">
        <h2 ref={head} tabIndex={-1} className="break">{node?.title ?? idOf(path)}</h2>
        <IconButton icon="close" label={t("close")} onClick={onClose} />
      </header>
      {paths.length > 1 && (
        <details className="instances" open={!known}>
          <summary>{t("flows.instances", { n: paths.length })}</summary>
          <ul>
            {paths.slice(0, INSTANCES_MAX).map((each) => <li key={each}><button type="button" className="link mono" aria-current={each === path || undefined} onClick={() => onPath(each)}>{each}</button></li>)}
            {paths.length > INSTANCES_MAX && <li className="muted small">{t("flows.wait.more", { n: paths.length - INSTANCES_MAX })}</li>}
          </ul>
        </details>
      )}
      {known ? <Detail key={path} {...props} /> : paths.length <= 1 && <p className="muted">{t("flows.not_begun")}</p>}
      {!known && <JsonBox title={t("flows.definition")} value={props.definition} />}
      {!known && paths.length <= 1 && isFinal(run.status) && <p className="muted small">{t("flows.never_begun")}</p>}
    </aside>
  );
}

function Detail({ run, path, node, step, trace, definition, events, version, onPath, changed }: Props) {
  const t = useT();
  const [dialog, setDialog] = useState<"retry" | "fork" | "signal" | null>(null);
  const forks = useFork();
  const status = step?.status ?? trace?.status ?? "pending";
  const asked = useResource<{ request?: Json; error?: { message: string } }>(`${runPath(run.id)}/step?path=${encodeURIComponent(path)}`);
  const { reload } = asked;
  useEffect(() => reload(), [status, reload]);
  const request = asked.error ? undefined : asked.data?.request;
  // Of a step with code, only its arguments can be put otherwise.
  const editable = node?.kind === "code" && request && typeof request === "object" && "args" in request ? request.args : request;
  const output = status === "waiting" ? undefined : (step?.output ?? trace?.output);
  const error = status === "done" ? undefined : (step?.error ?? trace?.error);
  const own = events.filter((event) => event.step === path);
  const begun = step?.started_ms ?? trace?.spans[0]?.from_ms;
  const end = step?.finished_ms ?? trace?.spans[trace.spans.length - 1]?.to_ms ?? undefined;
  const attempts = trace?.spans.filter((span) => span.kind === "run" || span.kind === "failed") ?? [];
  const question = node?.kind === "human" && status === "waiting" && step?.output ? (step.output as unknown as Question) : null;
  const child = trace?.child ?? (node?.kind === "subflow" ? step?.name : undefined);
  const waitsFor = status === "waiting" && node?.kind === "wait" && step?.name && !step.name.startsWith("event/") ? step.name : null;
  const top = !path.includes("[");
  void version;
  return (
    <>
      <p className="row"><StatusBadge status={status} /> <span className="mono small">{path}</span></p>
      {question && <HumanForm run={run.id} path={path} question={question} onDone={changed} />}
      {error && (
        <div className="answer-failure" role="note">
          <strong>{error.code}</strong>
          <p>{error.message}</p>
        </div>
      )}
      <div className="row">
        {status !== "running" && status !== "pending" && (
          <button type="button" className="button small" onClick={() => setDialog("retry")}><Icon name="retry" size={14} /> {t("flows.retry")}</button>
        )}
        {forks && top && <button type="button" className="button small" onClick={() => setDialog("fork")}><Icon name="branch" size={14} /> {t("flows.fork")}</button>}
        {waitsFor && <button type="button" className="button small primary" onClick={() => setDialog("signal")}>{t("flows.signal")}</button>}
      </div>
      {!forks && top && <p className="muted small">{t("flows.no_fork")}</p>}
      <Facts
        rows={[
          [t("flows.kind"), node?.kind ?? ""],
          [t("flows.column.started"), begun ? formatTime(begun) : ""],
          [t("flows.column.took"), begun && end ? formatMs(end - begun) : ""],
          [t("flows.until"), step?.until_ms && !end ? formatTime(step.until_ms) : ""],
          [t("flows.attempts"), attempts.length > 1 || (step?.attempt ?? 0) > 1 ? formatNumber(Math.max(attempts.length, step?.attempt ?? 0)) : ""],
          [t("flows.resets"), step?.resets || trace?.resets ? formatNumber(step?.resets ?? trace?.resets ?? 0) : ""],
          [t("flows.rounds"), step?.rounds ? `${formatNumber(step.rounds_done ?? 0)} / ${formatNumber(step.items?.length ?? step.rounds)}` : ""],
          [t("column.tokens"), trace?.tokens ? formatNumber(trace.tokens) : ""],
          [t("flows.cost"), trace?.cost_usd ? `$${formatNumber(trace.cost_usd)}` : ""],
          [t("flows.child"), child && <a className="mono" href={formatRoute({ screen: "runs", id: child })}>{child}</a>],
        ]}
      />
      {attempts.length > 1 && (
        <>
          <h3>{t("flows.attempts")}</h3>
          <ol className="attempts">
            {attempts.map((span, n) => (
              <li key={n}>
                <StatusMark status={span.kind === "failed" ? "failed" : span.to_ms === null ? "running" : "done"} /> <span className="visually-hidden">{t(statusKey(span.kind === "failed" ? "failed" : span.to_ms === null ? "running" : "done"))}</span>
                <span className="number">{formatTime(span.from_ms)}</span> <span className="number muted">{span.to_ms === null ? "" : formatMs(span.to_ms - span.from_ms)}</span>
                {span.error && <span className="break"> {span.error.code}: {span.error.message}</span>}
              </li>
            ))}
          </ol>
        </>
      )}
      <JsonBox title={t("flows.input")} value={request ?? undefined} />
      {asked.data?.error && <p className="muted small">{t("flows.input.none", { why: asked.data.error.message })}</p>}
      <JsonBox title={t("flows.output")} value={output} />
      <JsonBox title={t("flows.definition")} value={definition} />
      {own.length > 0 && (
        <details>
          <summary>{t("flows.events", { n: own.length })}</summary>
          <ol className="step-events">
            {own.slice(-EVENTS_SHOWN).map((event) => (
              <li key={event.place}><span className="number muted">{formatTime(event.at_ms)}</span> {event.event} <span className="mono muted break">{eventText(event)}</span></li>
            ))}
          </ol>
        </details>
      )}
      {dialog === "retry" && <RetryDialog run={run.id} path={path} request={editable} onClose={() => setDialog(null)} changed={changed} />}
      {dialog === "fork" && <ForkDialog run={run.id} path={path} input={run.input} request={editable} onClose={() => setDialog(null)} />}
      {dialog === "signal" && waitsFor && <SignalDialog run={run.id} name={waitsFor} onClose={() => setDialog(null)} />}
      {path.includes("[") && <button type="button" className="button small" onClick={() => onPath(path.slice(0, path.lastIndexOf("[")))}><Icon name="back" size={14} /> {t("flows.up")}</button>}
    </>
  );
}
