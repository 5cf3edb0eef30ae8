// A fault in one screen leaves the rest of the console usable.
import { Component, type ReactNode } from "react";
import { t } from "../i18n";

export class ErrorBoundary extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state = { error: null as Error | null };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    if (!this.state.error) return this.props.children;
    return (
      <div className="failure" role="alert">
        <strong>{t("crash.title")}</strong>
        <p>{t("crash.do")}</p>
        <p className="mono small">{this.state.error.message}</p>
        <button type="button" className="button" onClick={() => location.reload()}>{t("crash.reload")}</button>
      </div>
    );
  }
}
