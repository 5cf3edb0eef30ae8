// How often the server came back after being away. What was fetched before is then asked for again:
// it may have failed, and the server may be another one.
import { createStore } from "../app/store";

export const reconnects = createStore(0);
