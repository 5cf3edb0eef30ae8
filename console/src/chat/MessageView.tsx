// One message: the text, what can be done with it, and an answer's figures.
import { memo, useState } from "react";
import { formatRoute } from "../app/router";
import { useT } from "../i18n";
import { Markdown } from "../markdown/Markdown";
import { CopyButton } from "../ui/CopyButton";
import { formatMs, formatNumber, formatRate } from "../ui/format";
import { IconButton } from "../ui/IconButton";
import { editAndResend, regenerate } from "./actions";
import type { AnswerStats, Message } from "./conversation";
import { QuestionEditor } from "./QuestionEditor";

interface Props {
  conversationId: string;
  message: Message;
}

export const MessageView = memo(function MessageView(props: Props) {
  return props.message.role === "user" ? <Question {...props} /> : <Answer {...props} />;
});

function Question({ conversationId, message }: Props) {
  const t = useT();
  const [editing, setEditing] = useState(false);
  if (editing) {
    return (
      <li className="message question">
        <QuestionEditor
          text={message.text}
          onCancel={() => setEditing(false)}
          onSend={(text) => editAndResend(conversationId, message.id, text)}
        />
      </li>
    );
  }
  return (
    <li className="message question">
      <div className="bubble">{message.text}</div>
      <div className="message-tools">
        <CopyButton text={message.text} />
        <IconButton icon="edit" label={t("chat.edit")} data-edit-question onClick={() => setEditing(true)} />
      </div>
    </li>
  );
}

function Answer({ conversationId, message }: Props) {
  const t = useT();
  const streaming = message.status === "streaming";
  return (
    <li className={`message answer ${streaming ? "streaming" : ""}`} aria-busy={streaming}>
      {message.text && <Markdown text={message.text} />}
      {streaming && !message.text && <p className="waiting muted"><span className="caret" /> {t("chat.waiting")}</p>}
      {message.status === "failed" && message.error && (
        <div className="answer-failure" role="alert">
          <strong>{t(`error.${message.error.kind}`)}</strong> {t(`error.${message.error.kind}.do`)}
          <p className="mono small">{message.error.message}</p>
        </div>
      )}
      {!streaming && (
        <div className="answer-foot">
          <div className="message-tools">
            {message.text && <CopyButton text={message.text} />}
            <IconButton icon="retry" label={t("chat.regenerate")} onClick={() => regenerate(conversationId, message.id)} />
          </div>
          <Figures message={message} />
        </div>
      )}
    </li>
  );
}

function tokenWords(stats: AnswerStats, t: ReturnType<typeof useT>): string {
  const made = t("stats.tokens", { n: formatNumber(stats.completion_tokens) });
  if (stats.prompt_tokens === null) return made;
  const cached = stats.cached_tokens ? t("stats.cached", { n: stats.cached_tokens }) : "";
  return `${t("stats.prompt", { n: formatNumber(stats.prompt_tokens) })}${cached} → ${made}`;
}

function Figures({ message }: { message: Message }) {
  const t = useT();
  const { stats } = message;
  if (!stats || stats.completion_tokens === null) {
    return message.status === "stopped" ? <p className="figures muted small">{t("chat.stopped")}</p> : null;
  }
  return (
    <p className="figures muted small" title={message.model}>
      {message.status === "stopped" && <span>{t("chat.stopped")}</span>}
      {message.finish === "length" && <span>{t("chat.cut")}</span>}
      <span title={t("stats.ttft.help")}>TTFT {formatMs(stats.ttft_ms)}</span>
      <span title={t("stats.rate.help")}>{formatRate(stats.tokens_per_s)}</span>
      <span>{tokenWords(stats, t)}</span>
      <span>{formatMs(stats.total_ms)}</span>
      {message.request_id && (
        <a href={formatRoute({ screen: "requests", id: message.request_id })}>{t("stats.request")}</a>
      )}
    </p>
  );
}
