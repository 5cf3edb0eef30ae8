// What this host lets a sandbox be made of, and what is weaker for what it lacks.
import { useResource } from "../api/resource";
import { useT } from "../i18n";
import type { HostFact, HostReport } from "./types";

function badge(finding: HostFact["finding"]): string {
  if (finding === "works") return "badge badge-good";
  return finding === "weaker" ? "badge" : "badge badge-bad";
}

export function HostCard() {
  const t = useT();
  const { data } = useResource<HostReport>("/v1/sandboxes/host");
  if (!data) return null;
  return (
    <section className="card">
      <h2>{t("sandboxes.host")}</h2>
      <p className="muted">{t("sandboxes.host.levels", { levels: data.levels.join(", ") || "–" })}</p>
      <div className="table-scroll" tabIndex={0}>
        <table>
          <thead><tr><th>{t("sandboxes.primitive")}</th><th>{t("sandboxes.state")}</th><th>{t("sandboxes.detail")}</th></tr></thead>
          <tbody>
            {data.facts.map((fact) => (
              <tr key={fact.primitive}>
                <td>{fact.primitive}</td>
                <td><span className={badge(fact.finding)}>{t(`sandboxes.finding.${fact.finding}`)}</span></td>
                <td>{fact.detail}{fact.consequence && <span className="muted small"> {fact.consequence}</span>}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
