// Alarms: what fires now and its runs, the rules, what happened, and whom no message reached.
import { useCallback, useEffect, useMemo, useState } from "react";
import { ApiError, asApiError, getJson, postJson, request } from "../api/http";
import { formatRoute } from "../app/router";
import { useCommands } from "../app/screenCommands";
import { useStore } from "../app/store";
import { useT } from "../i18n";
import { formatTime } from "../ui/format";
import { Icon } from "../ui/Icon";
import { Empty, Failure, PageHead, Skeleton } from "../ui/states";
import { toast } from "../ui/toast";
import { AlarmDialog } from "./AlarmDialog";
import { alarmStore, refreshAlarms, useAlarms } from "./alarmFeed";
import { firing, whenWords, type Alarm, type AlarmLine, type AlarmRule, type Delivery } from "./alarms";
import { FlowTabs } from "./FlowTabs";
import { shortId } from "./words";
import "./flows.css";

const SILENCES = ["1h", "8h", "3d"] as const;
const RUNS_SHOWN = 5;
const pathOf = (rule: AlarmRule, what = "") => `/v1/alarms/${encodeURIComponent(rule.name)}${what}`;

export function AlarmsScreen() {
  const t = useT();
  useAlarms(true);
  const { list, error } = useStore(alarmStore);
  const [adding, setAdding] = useState(false);
  const [wrong, setWrong] = useState<ApiError | null>(null);
  const act = useCallback(async (what: () => Promise<string>) => {
    try {
      toast({ text: await what() });
      setWrong(null);
    } catch (reason) {
      setWrong(asApiError(reason));
    }
    await refreshAlarms();
  }, []);
  useCommands(useMemo(() => [{ id: "alarms.add", title: t("alarms.add"), group: t("nav.alarms"), run: () => setAdding(true) }], [t]));
  const now = list ? firing(list) : [];
  return (
    <div className="page flows">
      <PageHead title={t("nav.alarms")} note={t("alarms.note")}>
        <button type="button" className="button primary" onClick={() => setAdding(true)}><Icon name="plus" size={16} /> {t("alarms.add")}</button>
      </PageHead>
      <FlowTabs />
      {wrong && <p className="wrong" role="alert">{wrong.message}</p>}
      {error && !list && <Failure error={error} retry={() => void refreshAlarms()} />}
      {!error && !list && <Skeleton lines={6} />}
      {list && list.webhooks.length === 0 && list.data.length > 0 && <p className="notice">{t("alarms.no_webhooks")}</p>}
      {list && now.length > 0 && (
        <section className="alarm-cards" aria-label={t("nav.alarms")}>
          {now.map(({ rule, alarm }) => <Firing key={`${rule.name}/${alarm.workflow}`} rule={rule} alarm={alarm} act={act} />)}
        </section>
      )}
      {list && now.length === 0 && list.data.length > 0 && <p className="alarm-calm" role="status"><Icon name="check" size={16} /> {t("alarms.phase.quiet")}</p>}
      {list && list.data.length === 0 && <Empty title={t("alarms.none")}>{t("alarms.none.do")}</Empty>}
      {list && list.data.length > 0 && <Rules rules={list.data} act={act} />}
      {list && <Dead act={act} changes={list} />}
      {list && <Lines changes={list} />}
      {adding && <AlarmDialog webhooks={list?.webhooks ?? []} onClose={() => { setAdding(false); void refreshAlarms(); }} />}
    </div>
  );
}

type Act = (what: () => Promise<string>) => Promise<void>;

function Firing({ rule, alarm, act }: { rule: AlarmRule; alarm: Alarm; act: Act }) {
  const t = useT();
  const take = () => act(async () => {
    await postJson(pathOf(rule, "/acknowledge"), { workflow: alarm.workflow, by: "console" });
    return `${rule.name}: ${t("alarms.what.acknowledged")}`;
  });
  return (
    <article className={`card alarm-card ${alarm.acked_unix_ms ? "alarm-taken" : ""}`}>
      <header>
        <h2><Icon name="bell" size={18} /> {rule.name}</h2>
        {alarm.workflow && <a href={formatRoute({ screen: "runs", query: { workflow: alarm.workflow } })}>{alarm.workflow}</a>}
        <span className="muted small">{t("alarms.since", { time: formatTime(alarm.since_unix_ms) })}</span>
      </header>
      <p>{alarm.text}</p>
      {rule.rule.note && <p className="alarm-note">{rule.rule.note}</p>}
      {alarm.runs.length > 0 && (
        <ul className="alarm-runs">
          {alarm.runs.slice(0, RUNS_SHOWN).map((run) => (
            <li key={run.id}><a className="mono" href={formatRoute({ screen: "runs", id: run.id })} title={run.id}>{shortId(run.id)}</a> <span className="muted" title={run.detail}>{run.detail}</span></li>
          ))}
          {alarm.runs_total > RUNS_SHOWN && <li className="muted">{t("flows.wait.more", { n: alarm.runs_total - RUNS_SHOWN })}</li>}
        </ul>
      )}
      <footer className="row">
        {alarm.acked_unix_ms
          ? <span className="muted">{t("alarms.acked", { by: alarm.acked_by || "–", time: formatTime(alarm.acked_unix_ms) })}</span>
          : <button type="button" className="button small" onClick={() => void take()}><Icon name="check" size={14} /> {t("alarms.take")}</button>}
        <Silence rule={rule} act={act} />
      </footer>
    </article>
  );
}

function Silence({ rule, act }: { rule: AlarmRule; act: Act }) {
  const t = useT();
  const silence = (time: string) => act(async () => {
    await postJson(pathOf(rule, "/silence"), { for: time, by: "console" });
    return `${rule.name}: ${t(time === "0s" ? "alarms.what.unsilenced" : "alarms.what.silenced")}`;
  });
  if (rule.silenced_until_unix_ms) {
    return (
      <span className="row">
        <span className="muted small">{t("alarms.silent_until", { time: formatTime(rule.silenced_until_unix_ms) })}</span>
        <button type="button" className="button small" onClick={() => void silence("0s")}>{t("alarms.unsilence")}</button>
      </span>
    );
  }
  return (
    <select className="select small" aria-label={t("alarms.silence_of", { name: rule.name })} value="" onChange={(event) => void silence(event.target.value)}>
      <option value="" disabled>{t("alarms.silence")}</option>
      {SILENCES.map((time) => <option key={time} value={time}>{time}</option>)}
    </select>
  );
}

function Rules({ rules, act }: { rules: AlarmRule[]; act: Act }) {
  const t = useT();
  const test = (rule: AlarmRule) => act(async () => {
    const { data } = await postJson<{ data: { webhook: string; delivered: boolean; error?: string }[] }>(pathOf(rule, "/test"), {});
    const bad = data.filter((each) => !each.delivered);
    if (bad.length > 0) throw new ApiError("server", bad.map((each) => `${each.webhook}: ${each.error}`).join("; "));
    return t("alarms.tested", { names: data.map((each) => each.webhook).join(", ") });
  });
  const remove = (rule: AlarmRule) => act(async () => {
    await request(pathOf(rule), { method: "DELETE" });
    return `${rule.name}: ${t("alarms.what.removed")}`;
  });
  return (
    <section className="card">
      <h2>{t("alarms.rules")}</h2>
      <div className="table-scroll" tabIndex={0}>
        <table className="flow-table alarm-rules">
          <thead><tr><th>{t("flows.name")}</th><th>{t("flows.column.workflow")}</th><th>{t("alarms.when")}</th><th>{t("column.status")}</th><th>{t("alarms.told")}</th><th><span className="visually-hidden">{t("flows.details")}</span></th></tr></thead>
          <tbody>
            {rules.map((rule) => (
              <tr key={rule.name}>
                <td>{rule.name}</td>
                <td>{rule.rule.workflow ?? <span className="muted">{t("flows.round.all")}</span>}</td>
                <td>{whenWords(rule.rule.when, t)}</td>
                <td><span className={`alarm-phase alarm-${rule.phase}`}>{t(`alarms.phase.${rule.phase}`)}</span></td>
                <td>{rule.rule.webhooks?.join(", ") ?? <span className="muted">{t("flows.round.all")}</span>}</td>
                <td className="alarm-actions">
                  <Silence rule={rule} act={act} />
                  <button type="button" className="button small" onClick={() => void test(rule)}>{t("alarms.test")}</button>
                  {rule.from === "api" && <button type="button" className="button small danger" aria-label={t("alarms.remove_of", { name: rule.name })} onClick={() => void remove(rule)}><Icon name="trash" size={14} /></button>}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

/** Asked for again when the list of alarms has changed. */
function useAsked<T>(path: string, changes: unknown): T | null {
  const [data, setData] = useState<T | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    getJson<T>(path, abort.signal).then(setData, () => undefined); // the list itself says what is wrong
    return () => abort.abort();
  }, [path, changes]);
  return data;
}

function Dead({ act, changes }: { act: Act; changes: unknown }) {
  const t = useT();
  const dead = useAsked<{ data: Delivery[] }>("/v1/alarm-deliveries?status=dead&limit=20", changes);
  if (!dead || dead.data.length === 0) return null;
  const again = (delivery: Delivery) => act(async () => {
    await postJson(`/v1/alarm-deliveries/${encodeURIComponent(delivery.id)}/retry`, {});
    return t("alarms.send_again");
  });
  return (
    <section className="card">
      <h2>{t("alarms.dead")}</h2>
      <ul className="alarm-lines">
        {dead.data.map((each) => (
          <li key={each.id}>
            <span className="number muted">{formatTime(each.made_unix_ms)}</span> <strong>{each.name}</strong> → {each.webhook} <span className="wrong">{each.error}</span>
            <button type="button" className="button small" onClick={() => void again(each)}><Icon name="retry" size={14} /> {t("alarms.send_again")}</button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Lines({ changes }: { changes: unknown }) {
  const t = useT();
  const lines = useAsked<{ data: AlarmLine[] }>("/v1/alarm-history?limit=50", changes);
  if (!lines || lines.data.length === 0) return null;
  return (
    <section className="card">
      <h2>{t("flows.history")}</h2>
      <ul className="alarm-lines alarm-history">
        {lines.data.map((line) => (
          <li key={line.number}>
            <span className="number muted">{formatTime(line.at_unix_ms)}</span> <strong>{line.name}</strong> <span className={`alarm-what alarm-what-${line.what}`}>{t(`alarms.what.${line.what}`)}</span> {line.workflow} <span className="muted">{line.by} {line.text}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
