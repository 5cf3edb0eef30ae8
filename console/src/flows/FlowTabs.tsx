// Runs, workflows and the journal belong together: a line of links between them.
import { formatRoute, useRoute } from "../app/router";
import { useT } from "../i18n";

const tabs = ["runs", "workflows", "journal"] as const;

export function FlowTabs() {
  const t = useT();
  const { screen } = useRoute();
  return (
    <nav className="segments flow-tabs" aria-label={t("flows.tabs")}>
      {tabs.map((tab) => (
        <a key={tab} href={formatRoute({ screen: tab })} aria-current={screen === tab ? "page" : undefined}>{t(`flows.tab.${tab}`)}</a>
      ))}
    </nav>
  );
}
