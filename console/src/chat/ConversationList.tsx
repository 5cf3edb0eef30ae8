// The conversations of this browser, newest first, with a search field once there are several.
import { useState } from "react";
import { formatRoute } from "../app/router";
import { useStore } from "../app/store";
import { useT } from "../i18n";
import { Icon } from "../ui/Icon";
import { IconButton } from "../ui/IconButton";
import { newChat, removeChat } from "./actions";
import { rename, type Conversation } from "./conversation";
import { conversationStore } from "./store";

const SEARCH_FROM = 6;

function matches(conversation: Conversation, query: string): boolean {
  const wanted = query.trim().toLowerCase();
  if (!wanted) return true;
  if (conversation.title.toLowerCase().includes(wanted)) return true;
  return conversation.messages.some((message) => message.text.toLowerCase().includes(wanted));
}

export function ConversationList({ openId }: { openId: string | null }) {
  const t = useT();
  const { order, byId } = useStore(conversationStore);
  const [query, setQuery] = useState("");
  const shown = order.map((id) => byId[id]).filter((item): item is Conversation => !!item && matches(item, query));
  return (
    <>
      <button type="button" className="button new-chat" onClick={newChat}>
        <Icon name="plus" size={16} /> {t("chat.new")}
      </button>
      {order.length >= SEARCH_FROM && (
        <input
          type="search"
          className="input"
          aria-label={t("chat.search")}
          placeholder={t("chat.search")}
          value={query}
          onChange={(event) => setQuery(event.target.value)}
        />
      )}
      {order.length === 0 && <p className="muted small side-note">{t("chat.none")}</p>}
      <ul className="conversations">
        {shown.map((item) => <Row key={item.id} item={item} open={item.id === openId} />)}
      </ul>
    </>
  );
}

function Row({ item, open }: { item: Conversation; open: boolean }) {
  const t = useT();
  const [editing, setEditing] = useState(false);
  const title = item.title || t("chat.untitled");
  const saveTitle = (text: string) => {
    conversationStore.set((state) => rename(state, item.id, text));
    setEditing(false);
  };
  if (editing) {
    return (
      <li>
        <input
          className="input"
          aria-label={t("chat.rename")}
          autoFocus
          defaultValue={item.title}
          onBlur={(event) => saveTitle(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && !event.nativeEvent.isComposing) saveTitle(event.currentTarget.value);
            if (event.key === "Escape") setEditing(false);
          }}
        />
      </li>
    );
  }
  return (
    <li className="conversation">
      <a
        href={formatRoute({ screen: "chat", id: item.id })}
        aria-current={open ? "true" : undefined}
        title={title}
        onDoubleClick={() => setEditing(true)}
      >
        {title}
      </a>
      <span className="conversation-tools">
        <IconButton icon="edit" label={`${t("chat.rename")}: ${title}`} onClick={() => setEditing(true)} />
        <IconButton icon="trash" label={`${t("chat.delete")}: ${title}`} onClick={() => removeChat(item.id)} />
      </span>
    </li>
  );
}
