// Commands that a screen adds to the palette while it is shown.
import { useEffect } from "react";
import { createStore } from "./store";

export interface Command {
  id: string;
  title: string;
  group: string;
  keys?: string;
  run: () => void;
}

export const screenCommands = createStore<Command[]>([]);

/** `commands` must be memoised: a new array replaces the old one. */
export function useCommands(commands: Command[]): void {
  useEffect(() => {
    screenCommands.set(commands);
    return () => screenCommands.set([]);
  }, [commands]);
}
