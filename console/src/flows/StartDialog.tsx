// Starts a run: a form from the workflow's input schema, or JSON.
import { useState } from "react";
import { ApiError, asApiError, postJson } from "../api/http";
import { useResource } from "../api/resource";
import { navigate } from "../app/router";
import { useT } from "../i18n";
import { Dialog } from "../ui/Dialog";
import { Failure, Skeleton } from "../ui/states";
import { SchemaForm, useForm } from "./SchemaForm";
import type { Schema } from "./schema";
import type { Workflow, WorkflowHead } from "./types";

interface Props {
  workflow?: string;
  version?: number;
  onClose: () => void;
}

export function StartDialog({ workflow, version, onClose }: Props) {
  const t = useT();
  const all = useResource<{ data: WorkflowHead[] }>("/v1/workflows");
  const [name, setName] = useState(workflow ?? "");
  const chosen = name || all.data?.data[0]?.name || "";
  return (
    <Dialog label={t("flows.start")} className="sheet" onClose={onClose}>
      <h2>{t("flows.start")}</h2>
      {all.error && <Failure error={all.error} retry={all.reload} />}
      {!all.data && !all.error && <Skeleton lines={4} />}
      {all.data?.data.length === 0 && <p className="muted">{t("flows.none_deployed")}</p>}
      {all.data && all.data.data.length > 0 && (
        <label className="field">
          <span>{t("flows.column.workflow")}</span>
          <select className="select" value={chosen} disabled={workflow !== undefined} onChange={(event) => setName(event.target.value)}>
            {all.data.data.map((each) => <option key={each.name}>{each.name}</option>)}
          </select>
        </label>
      )}
      {chosen && <Input key={`${chosen} ${version ?? 0}`} name={chosen} version={version ?? 0} onClose={onClose} />}
    </Dialog>
  );
}

function Input({ name, version, onClose }: { name: string; version: number; onClose: () => void }) {
  const found = useResource<Workflow>(`/v1/workflows/${encodeURIComponent(name)}${version ? `?version=${version}` : ""}`);
  if (found.error) return <Failure error={found.error} retry={found.reload} />;
  if (!found.data) return <Skeleton lines={4} />;
  return <StartForm key={found.data.hash} workflow={found.data} version={version} onClose={onClose} />;
}

function labelsOf(text: string): Record<string, string> | null {
  const out: Record<string, string> = {};
  for (const part of text.split(",").map((each) => each.trim()).filter(Boolean)) {
    const cut = part.indexOf("=");
    if (cut < 1) return null;
    out[part.slice(0, cut).trim()] = part.slice(cut + 1).trim();
  }
  return out;
}

function StartForm({ workflow, version, onClose }: { workflow: Workflow; version: number; onClose: () => void }) {
  const t = useT();
  const schema = (workflow.document.input ?? true) as Schema;
  const form = useForm(schema);
  const [labels, setLabels] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const read = labelsOf(labels);
  const start = async () => {
    setBusy(true);
    try {
      const { id } = await postJson<{ id: string }>(`/v1/workflows/${encodeURIComponent(workflow.name)}/runs`, {
        ...(version ? { version } : {}),
        ...(form.value === undefined ? {} : { input: form.value }),
        ...(read && Object.keys(read).length ? { labels: read } : {}),
      });
      navigate({ screen: "runs", id });
      onClose();
    } catch (reason) {
      setError(asApiError(reason));
      setBusy(false);
    }
  };
  return (
    <form className="memory-form" onSubmit={(event) => { event.preventDefault(); if (form.ready && read) void start(); }}>
      {workflow.description && <p className="muted">{workflow.description}</p>}
      <SchemaForm form={form} />
      <label className="field">
        <span>{t("flows.labels")}</span>
        <input className="input" placeholder="team=a, ticket=7" aria-invalid={read === null} value={labels} onChange={(event) => setLabels(event.target.value)} />
        {read === null && <span className="wrong" role="alert">{t("flows.labels.bad")}</span>}
      </label>
      {error && <p className="wrong" role="alert">{error.message}</p>}
      <div className="row end">
        <button type="button" className="button" onClick={onClose}>{t("cancel")}</button>
        <button type="submit" className="button primary" disabled={busy || !form.ready || read === null}>{t("flows.start")}</button>
      </div>
    </form>
  );
}
