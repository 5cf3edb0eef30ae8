// Ctrl/Cmd-K: type a few letters, Enter. An ARIA combobox: focus stays in the field, the list tells
// which row is active.
import { useEffect, useMemo, useState, type KeyboardEvent } from "react";
import { useT } from "../i18n";
import { Dialog } from "../ui/Dialog";
import { Keys } from "../ui/Keys";
import { allCommands } from "./commands";
import { fuzzyFilter } from "./fuzzy";
import { overlayStore } from "./overlays";
import type { Command } from "./screenCommands";

const close = () => overlayStore.set(null);

export function CommandPalette() {
  const t = useT();
  const [query, setQuery] = useState("");
  const [active, setActive] = useState(0);
  const commands = useMemo(() => allCommands(t), [t]);
  const shown = useMemo(
    () => fuzzyFilter(query, commands, (command) => `${command.title} ${command.group}`),
    [query, commands],
  );
  useEffect(() => setActive(0), [query]);
  useEffect(() => {
    document.getElementById(`command-${active}`)?.scrollIntoView({ block: "nearest" });
  }, [active]);

  const run = (command: Command | undefined) => {
    if (!command) return;
    close();
    command.run();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1 };
    const step = steps[event.key];
    if (step && shown.length) setActive((active + step + shown.length) % shown.length);
    else if (event.key === "Enter" && !event.nativeEvent.isComposing) run(shown[active]);
    else return;
    event.preventDefault();
  };

  return (
    <Dialog label={t("palette.title")} className="palette" onClose={close}>
      <input
        className="palette-input"
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={shown.length ? `command-${active}` : undefined}
        aria-label={t("palette.title")}
        placeholder={t("palette.placeholder")}
        autoFocus
        spellCheck={false}
        value={query}
        onChange={(event) => setQuery(event.target.value)}
        onKeyDown={onKeyDown}
      />
      <ul id="palette-list" className="palette-list" role="listbox" aria-label={t("palette.title")}>
        {shown.map((command, index) => (
          <li
            key={command.id}
            id={`command-${index}`}
            role="option"
            aria-selected={index === active}
            onMouseMove={() => setActive(index)}
            onClick={() => run(command)}
          >
            <span className="palette-title">{command.title}</span>
            <span className="muted small">{command.group}</span>
            {command.keys && <Keys keys={command.keys} />}
          </li>
        ))}
      </ul>
      {shown.length === 0 && <p className="palette-none muted">{t("palette.none", { query })}</p>}
    </Dialog>
  );
}
