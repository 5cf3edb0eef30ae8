// Connects the keyboard to keymap.ts and carries its decisions out.
import { newChat } from "../chat/actions";
import { stepKey, type KeyAction, type KeyState } from "./keymap";
import { overlayStore } from "./overlays";
import { navigate } from "./router";
import { toggleTheme } from "./theme";

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement) return true;
  if (target instanceof HTMLSelectElement) return true;
  return target instanceof HTMLInputElement && !["checkbox", "radio", "range", "button"].includes(target.type);
}

function perform(action: KeyAction): void {
  switch (action.kind) {
    case "palette":
      return overlayStore.set((now) => (now === "palette" ? null : "palette"));
    case "help":
      return overlayStore.set("help");
    case "search":
      return document.querySelector<HTMLElement>("[data-slash]")?.focus();
    case "theme":
      return toggleTheme();
    case "new_chat":
      return newChat();
    case "go":
      return navigate({ screen: action.screen });
  }
}

export function startShortcuts(): void {
  let state: KeyState = { prefix_at_ms: null };
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    const overlay = overlayStore.get() !== null;
    const next = stepKey(
      state,
      {
        key: event.key,
        ctrl: event.ctrlKey || event.metaKey,
        alt: event.altKey,
        typing: isTyping(event.target) || overlay,
      },
      event.timeStamp,
    );
    state = next.state;
    if (!next.action) return;
    event.preventDefault();
    perform(next.action);
  });
}
