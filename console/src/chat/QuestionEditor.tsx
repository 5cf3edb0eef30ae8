import { useState } from "react";
import { useT } from "../i18n";

interface Props {
  text: string;
  onCancel: () => void;
  onSend: (text: string) => void;
}

export function QuestionEditor({ text, onCancel, onSend }: Props) {
  const t = useT();
  const [draft, setDraft] = useState(text);
  const send = () => draft.trim() && onSend(draft.trim());
  return (
    <div className="question-editor">
      <textarea
        className="input"
        aria-label={t("chat.edit")}
        autoFocus
        rows={Math.min(10, draft.split("\n").length + 1)}
        value={draft}
        onChange={(event) => setDraft(event.target.value)}
        onKeyDown={(event) => {
          if (event.nativeEvent.isComposing) return;
          if (event.key === "Escape") onCancel();
          if (event.key === "Enter" && !event.shiftKey) {
            event.preventDefault();
            send();
          }
        }}
      />
      <div className="row">
        <button type="button" className="button" onClick={onCancel}>{t("cancel")}</button>
        <button type="button" className="button primary" disabled={!draft.trim()} onClick={send}>{t("chat.resend")}</button>
      </div>
    </div>
  );
}
