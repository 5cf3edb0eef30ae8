// Can this server fork runs? Asked once: its own description of its routes says so.
import { useResource } from "../api/resource";

export function useFork(): boolean {
  const openapi = useResource<{ paths?: Record<string, unknown> }>("/openapi.json");
  return openapi.data?.paths?.["/v1/runs/{id}/fork"] !== undefined;
}
