// System: which build runs on what, with which configuration.
import { useMemo, useState } from "react";
import { apiKey } from "../api/http";
import { useResource } from "../api/resource";
import type { SystemInfo } from "../api/types";
import { useT } from "../i18n";
import { retryNow } from "../live/feed";
import { CopyButton } from "../ui/CopyButton";
import { formatDuration, formatTime } from "../ui/format";
import { Facts, Failure, PageHead, Skeleton } from "../ui/states";
import { toast } from "../ui/toast";
import { flatten } from "./flatten";

export function SystemScreen() {
  const t = useT();
  const { data, error, reload } = useResource<SystemInfo>("/admin/v1/system");
  return (
    <div className="page">
      <PageHead title={t("nav.system")} note={t("system.note")} />
      {error && !data && <Failure error={error} retry={reload} />}
      {!error && !data && <Skeleton lines={8} />}
      <div className="columns">
        {data && (
          <section className="card">
            <h2>{t("system.build")}</h2>
            <Facts
              rows={[
                [t("system.version"), data.version],
                [t("system.commit"), <span className="mono">{data.commit}</span>],
                [t("system.cpu"), data.cpu],
                [t("system.kernels"), data.kernel_target],
                [t("system.threads"), String(data.threads)],
                [t("system.started"), formatTime(data.started_unix_ms)],
                [t("system.uptime"), formatDuration((Date.now() - data.started_unix_ms) / 1000)],
              ]}
            />
          </section>
        )}
        <Connect />
      </div>
      {data && <Config config={data.config} />}
    </div>
  );
}

function Connect() {
  const t = useT();
  const [key, setKey] = useState(apiKey.get());
  const base = `${location.origin}/v1`;
  return (
    <section className="card">
      <h2>{t("system.connect")}</h2>
      <p className="muted">{t("system.connect.note")}</p>
      <Facts
        rows={[
          [t("system.base_url"), <span className="copyable"><span className="mono">{base}</span> <CopyButton text={base} /></span>],
          [t("system.links"), (
            <span className="row">
              <a href="./openapi.json">openapi.json</a>
              <a href="./metrics">metrics</a>
              <a href="./healthz">healthz</a>
            </span>
          )],
        ]}
      />
      <form
        className="field"
        onSubmit={(event) => {
          event.preventDefault();
          apiKey.set(key.trim());
          retryNow();
          toast({ text: t("system.key.saved") });
        }}
      >
        <label htmlFor="api-key">{t("system.key")}</label>
        <div className="row">
          <input id="api-key" className="input" type="password" autoComplete="off" value={key} onChange={(event) => setKey(event.target.value)} />
          <button type="submit" className="button">{t("save")}</button>
        </div>
        <p className="muted small">{t("system.key.help")}</p>
      </form>
    </section>
  );
}

function Config({ config }: { config: Record<string, unknown> }) {
  const t = useT();
  const [query, setQuery] = useState("");
  const rows = useMemo(() => flatten(config), [config]);
  const wanted = query.trim().toLowerCase();
  const shown = rows.filter(([path, value]) => `${path} ${value}`.toLowerCase().includes(wanted));
  return (
    <section className="card">
      <h2 className="with-tool">{t("system.config")} <CopyButton text={() => JSON.stringify(config, null, 2)} label={t("system.config.copy")} /></h2>
      <input
        type="search"
        className="input filter-text"
        data-slash
        aria-label={t("system.config.search")}
        placeholder={t("system.config.search")}
        value={query}
        onChange={(event) => setQuery(event.target.value)}
      />
      <div className="table-scroll" tabIndex={0}>
        <table className="config">
          <thead><tr><th>{t("system.config.key")}</th><th>{t("system.config.value")}</th></tr></thead>
          <tbody>
            {shown.map(([path, value]) => (
              <tr key={path}><td className="mono">{path}</td><td className="mono break">{value}</td></tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
