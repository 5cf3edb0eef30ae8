// What the policies said about this box: each decision with its rule and reason. A server without
// the record says so, and so does this.
import { useEffect } from "react";
import { useResource } from "../api/resource";
import { useT } from "../i18n";
import { formatTime } from "../ui/format";
import { Empty, Failure, Skeleton } from "../ui/states";
import type { AuditEvent, AuditList, PolicyList } from "./types";

const REFRESH_MS = 3000;

function decisionBadge(decision: string): string {
  if (/^(deny|denied|refused|stopped)/.test(decision)) return "badge badge-bad";
  return /^(allow|allowed)/.test(decision) ? "badge badge-good" : "badge";
}

function timeOf(event: AuditEvent): string {
  const ms = typeof event.time === "number" ? event.time : Date.parse(event.time);
  return Number.isFinite(ms) ? formatTime(ms) : String(event.time);
}

/** What an event is about, whatever shape it has. */
export function whatOf(event: AuditEvent): string {
  if (event.what === undefined || event.what === null) return "";
  return typeof event.what === "string" ? event.what : JSON.stringify(event.what);
}

export function DecisionsView({ id, policy }: { id: string; policy: string }) {
  const t = useT();
  const audit = useResource<AuditList>(`/v1/audit?sandbox=${encodeURIComponent(id)}`);
  const policies = useResource<PolicyList>("/v1/policies");
  const { reload } = audit;
  const missing = audit.error?.kind === "not_found";
  useEffect(() => {
    if (missing) return;
    const timer = setInterval(reload, REFRESH_MS);
    return () => clearInterval(timer);
  }, [reload, missing]);
  const known = policies.data?.data?.map((each) => each.name).filter(Boolean) ?? [];
  const events = [...(audit.data?.events ?? [])].reverse();
  return (
    <section className="card">
      <h2>{t("sandboxes.decisions")}</h2>
      <p className="muted">
        {t("sandboxes.decisions.under", { policy: policy || t("sandboxes.decisions.default") })}
        {known.length > 0 && ` ${t("sandboxes.decisions.known", { names: known.join(", ") })}`}
      </p>
      {missing && <Empty title={t("sandboxes.decisions.missing")}>{t("sandboxes.decisions.missing.do")}</Empty>}
      {audit.error && !missing && !audit.data && <Failure error={audit.error} retry={reload} />}
      {!audit.error && !audit.data && <Skeleton lines={3} />}
      {audit.data && events.length === 0 && <Empty title={t("sandboxes.decisions.none")} />}
      {events.length > 0 && (
        <div className="table-scroll" tabIndex={0}>
          <table>
            <thead><tr><th>{t("column.time")}</th><th>{t("sandboxes.decisions.event")}</th><th>{t("sandboxes.decisions.decision")}</th><th>{t("sandboxes.decisions.rule")}</th><th>{t("sandboxes.detail")}</th></tr></thead>
            <tbody>
              {events.map((event) => (
                <tr key={event.seq}>
                  <td className="number">{timeOf(event)}</td>
                  <td>{event.event}</td>
                  <td>{event.decision && <span className={decisionBadge(event.decision)}>{event.decision}</span>}</td>
                  <td>{[event.policy, event.rule].filter(Boolean).join(" · ")}</td>
                  <td className="break">{whatOf(event)}{event.reason && <span className="muted small"> {event.reason}</span>}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
