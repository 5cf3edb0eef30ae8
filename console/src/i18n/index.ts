// Two languages, typed: zh must have every key of en, and t() takes only keys that exist.
import { loadText, saveText } from "../app/storage";
import { createStore, useStore } from "../app/store";
import { en, type Messages } from "./en";
import { zh } from "./zh";

export type Locale = "en" | "zh";
export type Key = keyof Messages;
export type Translate = (key: Key, values?: Record<string, string | number>) => string;

export const dictionaries: Record<Locale, Messages> = { en, zh };

export function pickLocale(stored: string | null, wanted: readonly string[]): Locale {
  if (stored === "en" || stored === "zh") return stored;
  const first = wanted.find((tag) => /^(en|zh)\b/i.test(tag));
  return first?.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export const localeStore = createStore<Locale>(
  pickLocale(loadText("locale"), globalThis.navigator?.languages ?? []),
);

/** Tells the browser (fonts, hyphenation, screen readers) which language the page is in. */
export function applyLocale(locale: Locale): void {
  document.documentElement.lang = locale === "zh" ? "zh-CN" : "en";
}

export function setLocale(locale: Locale): void {
  saveText("locale", locale);
  applyLocale(locale);
  localeStore.set(locale);
}

export function translator(locale: Locale): Translate {
  const messages = dictionaries[locale];
  return (key, values) =>
    messages[key].replace(/\{(\w+)\}/g, (whole, name: string) => String(values?.[name] ?? whole));
}

const translators: Record<Locale, Translate> = { en: translator("en"), zh: translator("zh") };

export function useT(): Translate {
  return translators[useStore(localeStore)];
}

/** For code outside React, such as toasts raised by a store. */
export function t(key: Key, values?: Record<string, string | number>): string {
  return translators[localeStore.get()](key, values);
}
