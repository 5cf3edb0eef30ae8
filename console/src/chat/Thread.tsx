// The messages of one conversation. It follows the answer while the reader is at the bottom and
// stays where the reader scrolled to otherwise.
import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { useT } from "../i18n";
import { IconButton } from "../ui/IconButton";
import type { Conversation } from "./conversation";
import { MessageView } from "./MessageView";

const NEAR_BOTTOM_PX = 80;

export function Thread({ conversation }: { conversation: Conversation }) {
  const t = useT();
  const box = useRef<HTMLDivElement>(null);
  const [following, setFollowing] = useState(true);
  const { messages } = conversation;
  const last = messages[messages.length - 1];

  useLayoutEffect(() => {
    if (following && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [following, messages]);
  useEffect(() => setFollowing(true), [messages.length]);
  useEffect(() => {
    const at = box.current;
    if (!at || !following) return;
    const observer = new ResizeObserver(() => (at.scrollTop = at.scrollHeight));
    observer.observe(at); // the parameters panel opens, the phone is turned
    return () => observer.disconnect();
  }, [following]);

  const onScroll = () => {
    const at = box.current;
    if (at) setFollowing(at.scrollHeight - at.scrollTop - at.clientHeight < NEAR_BOTTOM_PX);
  };
  return (
    <div className="thread-frame">
      <div className="thread" ref={box} onScroll={onScroll} tabIndex={0} role="log" aria-label={t("chat.messages")} aria-live="off">
        <ol className="messages">
          {messages.map((message) => (
            <MessageView key={message.id} conversationId={conversation.id} message={message} />
          ))}
        </ol>
      </div>
      {!following && (
        <IconButton icon="down" label={t("chat.to_end")} className="to-end" onClick={() => setFollowing(true)} />
      )}
      <p className="visually-hidden" role="status">
        {last?.role === "assistant" ? t(`chat.status.${last.status}`) : ""}
      </p>
    </div>
  );
}
