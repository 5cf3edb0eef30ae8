// What the palette offers everywhere, after what the shown screen adds.
import { conversationStore } from "../chat/store";
import { newChat } from "../chat/actions";
import { localeStore, setLocale, type Translate } from "../i18n";
import { overlayStore } from "./overlays";
import { navigate } from "./router";
import { screenCommands, type Command } from "./screenCommands";
import { screens } from "./screens";
import { toggleTheme } from "./theme";

export function allCommands(t: Translate): Command[] {
  const go = t("palette.go");
  const act = t("palette.act");
  const toScreens = screens.map((screen) => ({
    id: `go.${screen.route}`,
    title: t(screen.label),
    group: go,
    keys: `g ${screen.key}`,
    run: () => navigate({ screen: screen.route }),
  }));
  const { order, byId } = conversationStore.get();
  const toChats = order.map((id) => ({
    id: `chat.${id}`,
    title: byId[id]?.title || t("chat.untitled"),
    group: t("palette.chats"),
    run: () => navigate({ screen: "chat", id }),
  }));
  return [
    ...screenCommands.get(),
    ...toScreens,
    { id: "new", title: t("chat.new"), group: act, keys: "n", run: newChat },
    { id: "theme", title: t("theme.toggle"), group: act, keys: "t", run: toggleTheme },
    {
      id: "language",
      title: t("language.switch"),
      group: act,
      run: () => setLocale(localeStore.get() === "en" ? "zh" : "en"),
    },
    { id: "help", title: t("help.title"), group: act, keys: "?", run: () => overlayStore.set("help") },
    ...toChats,
  ];
}
