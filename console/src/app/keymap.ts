// Keys pressed outside text fields, as a pure step: "g" then a letter goes to a screen, single keys
// act. Time is an argument, so that tests own it.

export const CHORD_MS = 1200;

export interface KeyState {
  prefix_at_ms: number | null; // when "g" was pressed
}

export interface KeyPress {
  key: string;
  ctrl: boolean; // Ctrl, or Cmd on a Mac
  alt: boolean;
  typing: boolean; // focus is in a field that takes text
}

export const GO_KEYS: Record<string, string> = {
  c: "chat",
  m: "models",
  l: "live",
  e: "engine",
  b: "sandboxes",
  r: "requests",
  y: "memory",
  f: "facts",
  k: "knowledge",
  w: "runs",
  d: "workflows",
  j: "journal",
  s: "system",
};

export type KeyAction =
  | { kind: "palette" }
  | { kind: "help" }
  | { kind: "search" }
  | { kind: "theme" }
  | { kind: "new_chat" }
  | { kind: "go"; screen: string };

export function stepKey(
  state: KeyState,
  press: KeyPress,
  nowMs: number,
): { state: KeyState; action: KeyAction | null } {
  const idle: KeyState = { prefix_at_ms: null };
  if (press.ctrl && !press.alt && press.key.toLowerCase() === "k") {
    return { state: idle, action: { kind: "palette" } };
  }
  if (press.typing || press.ctrl || press.alt) return { state: idle, action: null };

  const inChord = state.prefix_at_ms !== null && nowMs - state.prefix_at_ms <= CHORD_MS;
  if (inChord) {
    const screen = GO_KEYS[press.key];
    return { state: idle, action: screen ? { kind: "go", screen } : null };
  }
  switch (press.key) {
    case "g":
      return { state: { prefix_at_ms: nowMs }, action: null };
    case "?":
      return { state: idle, action: { kind: "help" } };
    case "/":
      return { state: idle, action: { kind: "search" } };
    case "t":
      return { state: idle, action: { kind: "theme" } };
    case "n":
      return { state: idle, action: { kind: "new_chat" } };
    default:
      return { state: idle, action: null };
  }
}
