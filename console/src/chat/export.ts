// A conversation as a file: JSON for programs, Markdown for people.
import type { Conversation } from "./conversation";

export function toJson(conversation: Conversation): string {
  return `${JSON.stringify(conversation, null, 2)}\n`;
}

export function toMarkdown(conversation: Conversation): string {
  const parts = [`# ${conversation.title}`];
  for (const message of conversation.messages) {
    const who = message.role === "user" ? "User" : (message.model ?? "Assistant");
    parts.push(`## ${who}`, message.text);
  }
  return `${parts.join("\n\n")}\n`;
}

export function fileName(conversation: Conversation, extension: string): string {
  const stem = conversation.title.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");
  return `${stem || "conversation"}.${extension}`;
}

export function download(name: string, mime: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: mime }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
