// Says that the server is away, when the next try is, and lets one try now.
import { useEffect, useState } from "react";
import { useT } from "../i18n";
import { feedStore, retryNow } from "../live/feed";
import { useStore } from "./store";
import { navigate } from "./router";

export function Banner() {
  const t = useT();
  const { link, retry_at_ms } = useStore(feedStore);
  const [now, setNow] = useState(Date.now());
  const waiting = link === "down";
  useEffect(() => {
    if (!waiting) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, [waiting, retry_at_ms]);

  if (link === "unauthorized") {
    return (
      <div className="banner" role="alert">
        <span>{t("banner.key")}</span>
        <button type="button" className="button small" onClick={() => navigate({ screen: "system" })}>
          {t("banner.key.do")}
        </button>
      </div>
    );
  }
  if (!waiting) return null;
  const seconds = Math.max(0, Math.ceil(((retry_at_ms ?? now) - now) / 1000));
  return (
    <div className="banner" role="alert">
      <span>
        <strong>{t("banner.down", { host: location.host })}</strong> {t("banner.down.do")}
      </span>
      <span className="muted" aria-hidden="true">{t("banner.retry_in", { seconds })}</span>
      <button type="button" className="button small" onClick={retryNow}>{t("retry")}</button>
    </div>
  );
}
