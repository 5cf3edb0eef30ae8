import { useEffect, useState } from "react";
import { useT } from "../i18n";
import { toast } from "./toast";
import { IconButton } from "./IconButton";

export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text); // plain http on another host has no clipboard API
  }
}

function copyBySelection(text: string): boolean {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "off-screen";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

export function CopyButton({ text, label }: { text: string | (() => string); label?: string }) {
  const t = useT();
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), 1500);
    return () => clearTimeout(timer);
  }, [done]);
  const onClick = async () => {
    const ok = await copyText(typeof text === "function" ? text() : text);
    if (ok) setDone(true);
    else toast({ text: t("copy.failed") });
  };
  const shown = done ? t("copy.done") : (label ?? t("copy"));
  return <IconButton icon={done ? "check" : "copy"} label={shown} onClick={onClick} />;
}
