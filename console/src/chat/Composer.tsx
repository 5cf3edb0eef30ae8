// Where a question is written. Enter sends, Shift-Enter breaks the line, Escape stops the answer,
// Up in the empty field edits the last question. Drafts survive going to another screen.
import { useEffect, useLayoutEffect, useRef, useState, type KeyboardEvent } from "react";
import { useStore } from "../app/store";
import { useT } from "../i18n";
import { IconButton } from "../ui/IconButton";
import { send, stop } from "./actions";
import { paramsStore } from "./store";

const HEIGHT_MAX_PX = 220;
const drafts = new Map<string, string>();

function editLastQuestion(): boolean {
  const buttons = document.querySelectorAll<HTMLElement>("[data-edit-question]");
  buttons[buttons.length - 1]?.click();
  return buttons.length > 0;
}

export function Composer({ conversationId, busy }: { conversationId: string | null; busy: boolean }) {
  const t = useT();
  const { model } = useStore(paramsStore);
  const slot = conversationId ?? "new";
  const [text, setText] = useState(drafts.get(slot) ?? "");
  const field = useRef<HTMLTextAreaElement>(null);

  useEffect(() => {
    drafts.set(slot, text);
  }, [slot, text]);
  useLayoutEffect(() => {
    const area = field.current;
    if (!area) return;
    area.style.height = "auto";
    area.style.height = `${Math.min(area.scrollHeight, HEIGHT_MAX_PX)}px`;
  }, [text]);
  useEffect(() => {
    if (matchMedia("(pointer: fine)").matches) field.current?.focus();
  }, []);

  const submit = () => {
    const question = text.trim();
    if (!question || busy || !model) return;
    setText("");
    drafts.delete(slot);
    send(conversationId, question);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return; // Enter then picks a candidate of the input method
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      submit();
    } else if (event.key === "Escape" && busy && conversationId) {
      stop(conversationId);
    } else if (event.key === "ArrowUp" && text === "" && !busy && editLastQuestion()) {
      event.preventDefault();
    }
  };
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <div className="composer-box">
        <textarea
          ref={field}
          data-composer
          data-slash
          rows={1}
          aria-label={t("chat.ask")}
          placeholder={t("chat.ask")}
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={onKeyDown}
        />
        {busy && conversationId
          ? <IconButton icon="stop" label={t("chat.stop")} className="send" onClick={() => stop(conversationId)} />
          : <IconButton icon="send" type="submit" label={t("chat.send")} className="send" disabled={!text.trim() || !model} />}
      </div>
      <p className="composer-note muted small">{t("chat.note")}</p>
    </form>
  );
}
