// The frame: rail, banner, the screen of the route, overlays, notes.
import { Suspense, useEffect } from "react";
import { useT } from "../i18n";
import { Empty, Skeleton } from "../ui/states";
import { Toasts } from "../ui/toast";
import { Banner } from "./Banner";
import { CommandPalette } from "./CommandPalette";
import { ErrorBoundary } from "./ErrorBoundary";
import { HelpSheet } from "./HelpSheet";
import { Nav } from "./Nav";
import { overlayStore } from "./overlays";
import { useRoute } from "./router";
import { screens } from "./screens";
import { useStore } from "./store";

function CurrentScreen() {
  const t = useT();
  const route = useRoute();
  const screen = screens.find((candidate) => candidate.route === route.screen);
  const title = screen ? t(screen.label) : t("route.unknown");
  useEffect(() => {
    document.title = `${title} · Dougong`;
  }, [title]);
  if (!screen) return <Empty title={t("route.unknown")}>{t("route.unknown.do")}</Empty>;
  return (
    <ErrorBoundary key={screen.route}>
      <Suspense fallback={<div className="page"><Skeleton lines={6} /></div>}>
        <screen.component />
      </Suspense>
    </ErrorBoundary>
  );
}

export function App() {
  const t = useT();
  const overlay = useStore(overlayStore);
  return (
    <div className="app">
      <button type="button" className="skip" onClick={() => document.getElementById("main")?.focus()}>
        {t("skip")}
      </button>
      <Nav />
      <div className="stage">
        <Banner />
        <main id="main" tabIndex={-1}>
          <CurrentScreen />
        </main>
      </div>
      {overlay === "palette" && <CommandPalette />}
      {overlay === "help" && <HelpSheet />}
      <Toasts />
    </div>
  );
}
