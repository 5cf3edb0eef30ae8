// Which modal is open; at most one.
import { createStore } from "./store";

export type Overlay = "palette" | "help" | null;

export const overlayStore = createStore<Overlay>(null);
