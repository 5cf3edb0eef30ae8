// Server-sent events out of a byte stream (WHATWG HTML, "event stream interpretation"). Chunks may
// split anywhere, inside a UTF-8 character too.

export interface SseEvent {
  event: string;
  data: string;
  id?: string; // the last one that was sent; absent before the first
}

export class SseParser {
  private readonly decoder = new TextDecoder();
  private buffer = "";
  private event = "";
  private id = "";
  private data: string[] = [];

  push(bytes: Uint8Array): SseEvent[] {
    return this.pushText(this.decoder.decode(bytes, { stream: true }));
  }

  pushText(text: string): SseEvent[] {
    this.buffer += text;
    const out: SseEvent[] = [];
    for (;;) {
      const end = this.buffer.search(/[\r\n]/);
      if (end < 0) return out;
      const isCr = this.buffer[end] === "\r";
      // A CR at the very end may be half of CRLF: wait for the next chunk.
      if (isCr && end + 1 === this.buffer.length) return out;
      const line = this.buffer.slice(0, end);
      this.buffer = this.buffer.slice(end + (isCr && this.buffer[end + 1] === "\n" ? 2 : 1));
      this.takeLine(line, out);
    }
  }

  private takeLine(line: string, out: SseEvent[]): void {
    if (line === "") {
      if (this.data.length) out.push({ event: this.event || "message", data: this.data.join("\n"), ...(this.id ? { id: this.id } : {}) });
      this.event = "";
      this.data = [];
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return; // a comment, sent as keep-alive
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") this.data.push(value);
    else if (field === "event") this.event = value;
    else if (field === "id") this.id = value;
  }
}

/** Yields events until the body ends; aborting the fetch ends it with the fetch's AbortError. */
export async function* readSse(body: ReadableStream<Uint8Array>): AsyncGenerator<SseEvent> {
  const parser = new SseParser();
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.push(value);
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}
