// The rail on the left (a bar at the bottom of a phone): screens, pulse, theme, language, help.
import { useEffect, useRef } from "react";
import { alarmStore, useAlarms } from "../flows/alarmFeed";
import { localeStore, setLocale, useT } from "../i18n";
import { feedStore, type Feed } from "../live/feed";
import { formatNumber } from "../ui/format";
import { Icon } from "../ui/Icon";
import { IconButton } from "../ui/IconButton";
import { Mark } from "../ui/Mark";
import { overlayStore } from "./overlays";
import { formatRoute, useRoute } from "./router";
import { screens } from "./screens";
import { useSelect, useStore } from "./store";
import { isDark, themeStore, toggleTheme } from "./theme";

const linkOf = (feed: Feed) => feed.link;
const lastOf = (feed: Feed) => feed.samples[feed.samples.length - 1] ?? null;

function Pulse() {
  const t = useT();
  const link = useSelect(feedStore, linkOf);
  const last = useSelect(feedStore, lastOf);
  const words = link === "up" && last
    ? t("pulse.up", { rate: formatNumber(last.decode_tokens_per_s), running: last.running })
    : t(`pulse.${link}`);
  return (
    <a className="pulse" href={formatRoute({ screen: "live" })} title={t("nav.live")}>
      <span className={`dot dot-${link}`} aria-hidden="true" />
      <span className="pulse-text">{words}</span>
    </a>
  );
}

export function Nav() {
  const t = useT();
  const route = useRoute();
  const within = screens.find((screen) => screen.route === route.screen)?.within;
  const links = useRef<HTMLUListElement>(null);
  useEffect(() => {
    links.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" }); // newer browsers give a promise
  }, [route.screen]);
  useAlarms(false);
  const firing = useStore(alarmStore).list?.firing ?? 0;
  const dark = isDark(useStore(themeStore));
  const locale = useStore(localeStore);
  return (
    <nav className="rail" aria-label={t("nav.label")}>
      <a className="brand" href={formatRoute({ screen: "chat" })} aria-label="Dougong">
        <Mark size={26} />
        <span className="brand-name">Dougong</span>
      </a>
      <ul ref={links} className="rail-links">
        {screens.filter((screen) => !screen.within).map((screen) => (
          <li key={screen.route}>
            <a
              href={formatRoute({ screen: screen.route })}
              aria-current={route.screen === screen.route || within === screen.route ? "page" : undefined}
              onPointerEnter={() => void screen.preload()}
            >
              <Icon name={screen.icon} />
              <span>{t(screen.label)}</span>
              {screen.route === "runs" && firing > 0 && <span className="nav-badge" aria-label={t("alarms.firing_n", { n: firing })}>{firing}</span>}
            </a>
          </li>
        ))}
      </ul>
      <div className="rail-foot">
        <Pulse />
        <div className="rail-tools">
          <IconButton icon="command" label={t("palette.title")} onClick={() => overlayStore.set("palette")} />
          <IconButton icon={dark ? "sun" : "moon"} label={t("theme.toggle")} onClick={toggleTheme} />
          <button
            type="button"
            className="icon-button language"
            aria-label={t("language.switch")}
            title={t("language.switch")}
            onClick={() => setLocale(locale === "en" ? "zh" : "en")}
          >
            {locale === "en" ? "中" : "EN"}
          </button>
          <IconButton icon="help" label={t("help.title")} onClick={() => overlayStore.set("help")} />
        </div>
      </div>
    </nav>
  );
}
