// The graph around a name, drawn; a name leads to its own graph.
import { useMemo } from "react";
import { useT } from "../i18n";
import { layOut, type Place } from "./layout";
import type { FactGraph } from "./types";

const MARGIN = { x: 70, y: 34 };
const LABEL_MAX = 22;

function short(text: string): string {
  return text.length > LABEL_MAX ? `${text.slice(0, LABEL_MAX - 1)}…` : text;
}

interface Props {
  graph: FactGraph;
  onName: (name: string) => void;
}

export function GraphView({ graph, onName }: Props) {
  const t = useT();
  const { places, across, down } = useMemo(() => layOut(graph), [graph]);
  const at = useMemo(() => new Map<string, Place>(places.map((place) => [place.name, place])), [places]);
  const [x, y] = [across + MARGIN.x, down + MARGIN.y];
  return (
    <svg className="fact-graph" viewBox={`${-x} ${-y} ${2 * x} ${2 * y}`} role="group" aria-label={t("facts.graph")}>
      {graph.facts.map((fact) => {
        const from = at.get(fact.subject);
        const to = at.get(fact.object);
        if (!from || !to || from === to) return null;
        return (
          <g key={fact.id}>
            <line x1={from.x} y1={from.y} x2={to.x} y2={to.y} />
            <text className="fact-edge" x={(from.x + to.x) / 2} y={(from.y + to.y) / 2 - 4}>{fact.predicate}</text>
          </g>
        );
      })}
      {places.map((place) => (
        <g key={place.name} className={place.depth === 0 ? "fact-node middle" : "fact-node"} role="button" tabIndex={0} aria-label={place.name}
          onClick={() => onName(place.name)}
          onKeyDown={(event) => (event.key === "Enter" || event.key === " ") && onName(place.name)}>
          <circle cx={place.x} cy={place.y} r={place.depth === 0 ? 10 : 7} />
          <text x={place.x} y={place.y + 22}>{short(place.name)}</text>
        </g>
      ))}
    </svg>
  );
}
