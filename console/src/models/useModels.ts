// The served models, in the server's order.
import type { ModelEntry } from "../api/types";
import { useResource, type Resource } from "../api/resource";

export function useModels(): Resource<{ models: ModelEntry[] }> {
  return useResource<{ models: ModelEntry[] }>("/admin/v1/models");
}

/** The model to talk to: the chosen one while it is served, else the first that generates. */
export function pickModel(chosen: string, models: ModelEntry[]): string {
  const able = models.filter((model) => model.generates);
  return able.some((model) => model.id === chosen) ? chosen : (able[0]?.id ?? chosen);
}
