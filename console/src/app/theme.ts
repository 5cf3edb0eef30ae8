// Light, dark, or what the system says. The stylesheet does the work; this sets one attribute.
import { loadText, saveText } from "./storage";
import { createStore } from "./store";

export type Theme = "system" | "light" | "dark";

function initial(): Theme {
  const stored = loadText("theme");
  return stored === "light" || stored === "dark" ? stored : "system";
}

export const themeStore = createStore<Theme>(initial());

const systemDark = () => matchMedia("(prefers-color-scheme: dark)").matches;

export function isDark(theme: Theme): boolean {
  return theme === "dark" || (theme === "system" && systemDark());
}

export function setTheme(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  saveText("theme", theme === "system" ? null : theme);
  themeStore.set(theme);
}

/** Flips what is seen now; back to "system" when that is what the system shows anyway. */
export function toggleTheme(): void {
  const dark = !isDark(themeStore.get());
  setTheme(dark === systemDark() ? "system" : dark ? "dark" : "light");
}
