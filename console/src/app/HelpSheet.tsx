import { useT, type Key } from "../i18n";
import { Dialog } from "../ui/Dialog";
import { IconButton } from "../ui/IconButton";
import { Keys } from "../ui/Keys";
import { overlayStore } from "./overlays";
import { screens } from "./screens";

const everywhere: [string, Key][] = [
  ["Mod K", "help.palette"],
  ["/", "help.search"],
  ["n", "chat.new"],
  ["t", "theme.toggle"],
  ["?", "help.title"],
  ["Esc", "help.escape"],
];

const inChat: [string, Key][] = [
  ["Enter", "help.send"],
  ["Shift Enter", "help.newline"],
  ["↑", "help.edit_last"],
  ["Esc", "help.stop"],
];

export function HelpSheet() {
  const t = useT();
  const close = () => overlayStore.set(null);
  const goTo = screens.map((screen): [string, Key] => [`g ${screen.key}`, screen.label]);
  const groups: [Key, [string, Key][]][] = [
    ["help.everywhere", everywhere],
    ["palette.go", goTo],
    ["nav.chat", inChat],
  ];
  return (
    <Dialog label={t("help.title")} className="help" onClose={close}>
      <header className="dialog-head">
        <h2>{t("help.title")}</h2>
        <IconButton icon="close" label={t("close")} onClick={close} />
      </header>
      <div className="help-groups">
        {groups.map(([title, rows]) => (
          <section key={title}>
            <h3>{t(title)}</h3>
            <dl>
              {rows.map(([keys, label]) => (
                <div key={keys}>
                  <dt><Keys keys={keys} /></dt>
                  <dd>{t(label)}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
