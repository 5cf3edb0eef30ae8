// Runs, workflows, alarms and the journal belong together: a line of links between them.
import { formatRoute, useRoute } from "../app/router";
import { useStore } from "../app/store";
import { useT } from "../i18n";
import { alarmStore } from "./alarmFeed";

const tabs = ["runs", "workflows", "alarms", "journal"] as const;

export function FlowTabs() {
  const t = useT();
  const { screen } = useRoute();
  const firing = useStore(alarmStore).list?.firing ?? 0;
  return (
    <nav className="segments flow-tabs" aria-label={t("flows.tabs")}>
      {tabs.map((tab) => (
        <a key={tab} href={formatRoute({ screen: tab })} aria-current={screen === tab ? "page" : undefined}>{t(`flows.tab.${tab}`)}{tab === "alarms" && firing > 0 && <span className="nav-badge" aria-label={t("alarms.firing_n", { n: firing })}>{firing}</span>}</a>
      ))}
    </nav>
  );
}
