// Starts the console: styles, keyboard, router, the feed of samples, then React.
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app/App";
import { startRouter } from "./app/router";
import { preloadScreens } from "./app/screens";
import { startShortcuts } from "./app/shortcuts";
import { startPersisting } from "./chat/store";
import { applyLocale, localeStore } from "./i18n";
import { runFeed } from "./live/feed";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/frame.css";
import "./styles/overlays.css";
import "./styles/chat.css";
import "./styles/markdown.css";
import "./styles/data.css";

applyLocale(localeStore.get());
startRouter();
startShortcuts();
startPersisting();
void runFeed();

const root = document.getElementById("root");
if (!root) throw new Error("index.html lacks #root");
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
preloadScreens();
