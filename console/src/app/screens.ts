// Every screen once: its route, name, icon, key and code. Chat is the first screen most people
// see, so it is loaded with the page; the others are loaded when they are opened.
import { lazy, type ComponentType } from "react";
import { ChatScreen } from "../chat/ChatScreen";
import type { Key } from "../i18n";
import type { IconName } from "../ui/Icon";

export interface Screen {
  route: string;
  label: Key;
  icon: IconName;
  key: string; // after "g"
  component: ComponentType;
  preload: () => Promise<unknown>;
  within?: string; // reached from this screen: not in the rail
}

const loaders = {
  models: () => import("../models/ModelsScreen").then((m) => ({ default: m.ModelsScreen })),
  engine: () => import("../engine/EngineScreen").then((m) => ({ default: m.EngineScreen })),
  live: () => import("../live/LiveScreen").then((m) => ({ default: m.LiveScreen })),
  requests: () => import("../requests/RequestsScreen").then((m) => ({ default: m.RequestsScreen })),
  sandboxes: () => import("../sandboxes/SandboxesScreen").then((m) => ({ default: m.SandboxesScreen })),
  memory: () => import("../memory/MemoryScreen").then((m) => ({ default: m.MemoryScreen })),
  facts: () => import("../facts/FactsScreen").then((m) => ({ default: m.FactsScreen })),
  knowledge: () => import("../knowledge/KnowledgeScreen").then((m) => ({ default: m.KnowledgeScreen })),
  runs: () => import("../flows/RunsScreen").then((m) => ({ default: m.RunsScreen })),
  workflows: () => import("../flows/WorkflowsScreen").then((m) => ({ default: m.WorkflowsScreen })),
  alarms: () => import("../flows/AlarmsScreen").then((m) => ({ default: m.AlarmsScreen })),
  journal: () => import("../flows/JournalScreen").then((m) => ({ default: m.JournalScreen })),
  system: () => import("../system/SystemScreen").then((m) => ({ default: m.SystemScreen })),
};

export const screens: Screen[] = [
  { route: "chat", label: "nav.chat", icon: "chat", key: "c", component: ChatScreen, preload: () => Promise.resolve() },
  { route: "models", label: "nav.models", icon: "models", key: "m", component: lazy(loaders.models), preload: loaders.models },
  { route: "live", label: "nav.live", icon: "live", key: "l", component: lazy(loaders.live), preload: loaders.live },
  { route: "engine", label: "nav.engine", icon: "engine", key: "e", component: lazy(loaders.engine), preload: loaders.engine },
  { route: "requests", label: "nav.requests", icon: "requests", key: "r", component: lazy(loaders.requests), preload: loaders.requests },
  { route: "sandboxes", label: "nav.sandboxes", icon: "box", key: "b", component: lazy(loaders.sandboxes), preload: loaders.sandboxes },
  { route: "memory", label: "nav.memory", icon: "memory", key: "y", component: lazy(loaders.memory), preload: loaders.memory },
  { route: "facts", label: "nav.facts", icon: "graph", key: "f", component: lazy(loaders.facts), preload: loaders.facts },
  { route: "knowledge", label: "nav.knowledge", icon: "book", key: "k", component: lazy(loaders.knowledge), preload: loaders.knowledge },
  { route: "runs", label: "nav.runs", icon: "flow", key: "w", component: lazy(loaders.runs), preload: loaders.runs },
  { route: "workflows", label: "nav.workflows", icon: "flow", key: "d", component: lazy(loaders.workflows), preload: loaders.workflows, within: "runs" },
  { route: "alarms", label: "nav.alarms", icon: "bell", key: "a", component: lazy(loaders.alarms), preload: loaders.alarms, within: "runs" },
  { route: "journal", label: "nav.journal", icon: "flow", key: "j", component: lazy(loaders.journal), preload: loaders.journal, within: "runs" },
  { route: "system", label: "nav.system", icon: "system", key: "s", component: lazy(loaders.system), preload: loaders.system },
];

/** Fetches the other screens once the first one rests, so that going there shows no wait. */
export function preloadScreens(): void {
  const idle = globalThis.requestIdleCallback ?? ((run: () => void) => setTimeout(run, 500));
  idle(() => screens.forEach((screen) => void screen.preload().catch(() => undefined)));
}
