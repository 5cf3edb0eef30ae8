// Workflows: what is deployed, one of them with its graph, source and versions, and the editor.
import { useEffect, useMemo, useState } from "react";
import { ApiError, asApiError, request } from "../api/http";
import { useResource } from "../api/resource";
import { formatRoute, navigate, useRoute } from "../app/router";
import { useCommands } from "../app/screenCommands";
import { useT } from "../i18n";
import { formatTime } from "../ui/format";
import { Icon } from "../ui/Icon";
import { Empty, Failure, PageHead, Skeleton } from "../ui/states";
import { toast } from "../ui/toast";
import { DagView, type Note } from "./DagView";
import { diffLines, excerpt } from "./diff";
import { FlowTabs } from "./FlowTabs";
import { SourceEditor } from "./SourceEditor";
import { StartDialog } from "./StartDialog";
import type { FileFault, Finding, Graph, Workflow, WorkflowHead } from "./types";
import "./flows.css";

const TYPING_MS = 350;
const NO_NOTES = new Map<string, Note>();
const EXAMPLE = `name: hello
description: Says hello, then waits for a person.
input:
  type: object
  properties:
    who: {type: string, default: world}
steps:
  - id: greet
    set: {text: "Hello {{ input.who }}"}
  - id: gate
    human: {ask: approve, prompt: "Send: {{ steps.greet.output.text }}?"}
output: {text: "{{ steps.greet.output.text }}"}
`;

export function WorkflowsScreen() {
  const { id, query } = useRoute();
  if (query.edit !== undefined) return <Deploy key={id ?? ""} name={id} />;
  return id ? <OneWorkflow key={id} name={id} /> : <WorkflowList />;
}

function WorkflowList() {
  const t = useT();
  const all = useResource<{ data: WorkflowHead[] }>("/v1/workflows");
  const [starting, setStarting] = useState<string | null>(null);
  const commands = useMemo(() => [{ id: "workflows.new", title: t("flows.new"), group: t("nav.workflows"), run: () => navigate({ screen: "workflows", query: { edit: "1" } }) }], [t]);
  useCommands(commands);
  return (
    <div className="page flows">
      <PageHead title={t("nav.workflows")} note={t("flows.workflows.note")}>
        <a className="button primary" href={formatRoute({ screen: "workflows", query: { edit: "1" } })}><Icon name="plus" size={16} /> {t("flows.new")}</a>
      </PageHead>
      <FlowTabs />
      {all.error && <Failure error={all.error} retry={all.reload} />}
      {!all.error && !all.data && <Skeleton lines={8} />}
      {all.data?.data.length === 0 && <Empty title={t("flows.none_deployed")}>{t("flows.none_deployed.do")}</Empty>}
      {all.data && all.data.data.length > 0 && (
        <section className="card">
          <div className="table-scroll" tabIndex={0}>
            <table className="flow-table">
              <thead><tr><th>{t("flows.name")}</th><th>{t("flows.version")}</th><th>{t("flows.description")}</th><th>{t("flows.deployed")}</th><th><span className="visually-hidden">{t("flows.start")}</span></th></tr></thead>
              <tbody>
                {all.data.data.map((each) => (
                  <tr key={each.name}>
                    <td><a href={formatRoute({ screen: "workflows", id: each.name })}>{each.name}</a></td>
                    <td className="number">{each.version}</td>
                    <td>{each.description}</td>
                    <td className="number">{formatTime(each.created_unix_ms)}</td>
                    <td className="actions">
                      <a className="button small" href={formatRoute({ screen: "runs", query: { workflow: each.name } })}>{t("nav.runs")}</a>{" "}
                      <button type="button" className="button small" aria-label={t("flows.start_of", { name: each.name })} onClick={() => setStarting(each.name)}><Icon name="play" size={14} /> {t("flows.start")}</button>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </section>
      )}
      {starting && <StartDialog workflow={starting} onClose={() => setStarting(null)} />}
    </div>
  );
}

const views = ["graph", "source", "compare"] as const;

function OneWorkflow({ name }: { name: string }) {
  const t = useT();
  const { query } = useRoute();
  const [starting, setStarting] = useState(false);
  const version = query.version ?? "";
  const asked = version ? `?version=${encodeURIComponent(version)}` : "";
  const base = `/v1/workflows/${encodeURIComponent(name)}`;
  const found = useResource<Workflow>(`${base}${asked}`);
  const graph = useResource<Graph>(`${base}/graph${asked}`);
  const view = views.find((each) => each === query.view) ?? "graph";
  const [chosen, setChosen] = useState<string | null>(null);
  const go = (next: Record<string, string>) => navigate({ screen: "workflows", id: name, query: { version, view: view === "graph" ? "" : view, from: query.from ?? "", ...next } }, "replace");
  const workflow = found.data;
  const error = found.error ?? graph.error;
  const at = graph.data?.nodes.find((node) => node.id === chosen);
  return (
    <div className="page flows run-page">
      <a className="back-link" href={formatRoute({ screen: "workflows" })}><Icon name="back" size={16} /> {t("nav.workflows")}</a>
      <PageHead title={name} note={workflow?.description}>
        {workflow && (
          <label className="round-picker">{t("flows.version")}
            <select className="select" value={workflow.version} onChange={(event) => go({ version: event.target.value })}>
              {workflow.versions.map((each) => <option key={each.version} value={each.version}>{each.version} · {formatTime(each.created_unix_ms)}</option>)}
            </select>
          </label>
        )}
        <a className="button" href={formatRoute({ screen: "workflows", id: name, query: { edit: "1", version } })}><Icon name="edit" size={16} /> {t("flows.edit")}</a>
        <button type="button" className="button primary" onClick={() => setStarting(true)}><Icon name="play" size={16} /> {t("flows.start")}</button>
      </PageHead>
      {error && <Failure error={error} retry={() => { found.reload(); graph.reload(); }} />}
      {!error && (!workflow || !graph.data) && <Skeleton lines={8} />}
      {workflow && graph.data && (
        <>
          <div className="segments views" role="group" aria-label={t("flows.views")}>
            {views.map((each) => <button key={each} type="button" aria-pressed={view === each} onClick={() => go({ view: each === "graph" ? "" : each })}>{t(`flows.view.${each}`)}</button>)}
          </div>
          {view === "graph" && <DagView graph={graph.data} label={t("flows.graph_of", { name })} notes={NO_NOTES} chosen={chosen} onChoose={setChosen} />}
          {view === "graph" && at && <p className="notice" role="status"><strong>{at.title}</strong> {at.kind} · {t("flows.line", { n: at.line })}</p>}
          {view === "source" && <SourceEditor label={t("flows.view.source")} text={workflow.source} faults={[]} />}
          {view === "compare" && <Compare name={name} workflow={workflow} from={Number(query.from) || workflow.version - 1} onFrom={(from) => go({ from })} />}
        </>
      )}
      {starting && <StartDialog workflow={name} version={Number(version) || 0} onClose={() => setStarting(false)} />}
    </div>
  );
}

function Compare({ name, workflow, from, onFrom }: { name: string; workflow: Workflow; from: number; onFrom: (from: string) => void }) {
  const t = useT();
  const others = workflow.versions.filter((each) => each.version !== workflow.version);
  if (others.length === 0) return <Empty title={t("flows.one_version")}>{t("flows.one_version.do")}</Empty>;
  const chosen = others.some((each) => each.version === from) ? from : others[0]!.version;
  return (
    <>
      <label className="round-picker">{t("flows.compare_with")}
        <select className="select" value={chosen} onChange={(event) => onFrom(event.target.value)}>
          {others.map((each) => <option key={each.version} value={each.version}>{each.version}</option>)}
        </select>
      </label>
      <Difference key={`${chosen} ${workflow.version}`} name={name} from={chosen} to={workflow} />
    </>
  );
}

function Difference({ name, from, to }: { name: string; from: number; to: Workflow }) {
  const t = useT();
  const base = `/v1/workflows/${encodeURIComponent(name)}`;
  const before = useResource<Workflow>(`${base}?version=${from}`);
  const moved = useResource<{ may_move: boolean; findings: Finding[] }>(`${base}/compatibility?from=${from}&to=${to.version}`);
  const source = before.data?.source;
  const lines = useMemo(() => (source === undefined ? [] : excerpt(diffLines(source, to.source))), [source, to]);
  const error = before.error ?? moved.error;
  if (error) return <Failure error={error} retry={() => { before.reload(); moved.reload(); }} />;
  if (!before.data || !moved.data) return <Skeleton lines={5} />;
  return (
    <>
      <section className="card">
        <h2>{t("flows.compatibility")}</h2>
        <p className={moved.data.may_move ? "" : "wrong"}>{t(moved.data.may_move ? "flows.may_move" : "flows.may_not_move", { from, to: to.version })}</p>
        <ul className="findings">
          {moved.data.findings.map((each, n) => <li key={n}><span className={`badge ${each.weight === "blocks" ? "badge-bad" : ""}`}>{t(`flows.finding.${each.weight}`)}</span> {each.step && <span className="mono">{each.step}</span>} {each.message}</li>)}
        </ul>
      </section>
      <section className="card">
        <h2>{t("flows.difference", { from, to: to.version })}</h2>
        {lines.every((line) => line === null) ? <p className="muted">{t("flows.same_text")}</p> : (
          <ol className="diff" tabIndex={0} aria-label={t("flows.difference", { from, to: to.version })}>
            {lines.map((line, n) => line === null
              ? <li key={n} className="diff-gap">⋯</li>
              : <li key={n} className={`diff-${line.how}`}><span className="number">{line.line}</span><span className="diff-mark">{line.how === "old" ? "−" : line.how === "new" ? "+" : " "}</span><code>{line.text}</code></li>)}
          </ol>
        )}
      </section>
    </>
  );
}

/** The editor: what is wrong is told while one types; deploying makes the next version. */
function Deploy({ name }: { name: string | null }) {
  const t = useT();
  const { query } = useRoute();
  const asked = query.version ? `?version=${encodeURIComponent(query.version)}` : "";
  const [text, setText] = useState<string | null>(name ? null : EXAMPLE);
  const [error, setError] = useState<ApiError | null>(null);
  useEffect(() => {
    if (!name) return;
    const abort = new AbortController();
    request(`/v1/workflows/${encodeURIComponent(name)}${asked}`, { signal: abort.signal })
      .then(async (response) => setText(((await response.json()) as Workflow).source))
      .catch((reason: unknown) => !abort.signal.aborted && setError(asApiError(reason)));
    return () => abort.abort();
  }, [name, asked]);
  return (
    <div className="page flows run-page">
      <a className="back-link" href={formatRoute({ screen: "workflows", id: name })}><Icon name="back" size={16} /> {name ?? t("nav.workflows")}</a>
      <PageHead title={t("flows.deploy.title")} note={t("flows.deploy.note")} />
      {error && <Failure error={error} />}
      {text === null ? !error && <Skeleton lines={8} /> : <Editor begun={text} />}
    </div>
  );
}

const typeOf = (text: string) => (text.trimStart().startsWith("{") ? "application/json" : "application/yaml");

function Editor({ begun }: { begun: string }) {
  const t = useT();
  const [text, setText] = useState(begun);
  const [faults, setFaults] = useState<FileFault[]>([]);
  const [checked, setChecked] = useState<string | null>(null); // the text that the faults are of
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    const abort = new AbortController();
    const timer = setTimeout(() => {
      request("/v1/workflows?dry_run=1", { method: "POST", headers: { "Content-Type": typeOf(text) }, body: text, signal: abort.signal })
        .then(async (response) => {
          const answer = (await response.json()) as { faults: FileFault[] };
          setFaults(answer.faults);
          setChecked(text);
          setError(null);
        })
        .catch((reason: unknown) => !abort.signal.aborted && setError(asApiError(reason)));
    }, TYPING_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [text]);
  const deploy = async () => {
    setBusy(true);
    try {
      const response = await request("/v1/workflows", { method: "POST", headers: { "Content-Type": typeOf(text) }, body: text });
      const made = (await response.json()) as WorkflowHead & { unchanged: boolean };
      toast({ text: t(made.unchanged ? "flows.deploy.same" : "flows.deploy.done", { name: made.name, version: made.version }) });
      navigate({ screen: "workflows", id: made.name });
    } catch (reason) {
      setError(asApiError(reason));
      setBusy(false);
    }
  };
  const good = checked === text && faults.length === 0;
  return (
    <>
      <SourceEditor label={t("flows.view.source")} text={text} faults={faults} onChange={setText} />
      {error && <p className="wrong" role="alert">{error.message}</p>}
      <div className="row">
        <button type="button" className="button primary" disabled={!good || busy} onClick={() => void deploy()}>{t("flows.deploy")}</button>
        <span className="muted small" role="status">{checked !== text ? t("flows.checking") : faults.length ? t("flows.fault_count", { n: faults.length }) : t("flows.no_faults")}</span>
      </div>
    </>
  );
}
