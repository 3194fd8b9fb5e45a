/** Answers in the form of the original server: one line of text, or JSON as Go prints it. */
import { goJson } from "./go-text.ts";

/** One line of plain text, as Go's `http.Error` writes it. */
export function textError(status: number, message: string, headers: Readonly<Record<string, string>> = {}): Response {
  const type = "text/plain; charset=utf-8";
  // One line, whatever a file name has in it.
  const line = message.replace(/[\r\n]+/g, " ");
  return new Response(`${line}\n`, {
    status,
    headers: { "Content-Type": type, "X-Content-Type-Options": "nosniff", ...headers },
  });
}

export function json(value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(goJson(value), {
    status,
    headers: { "Content-Type": "application/json; charset=utf-8", ...headers },
  });
}

/** A bad request of a client; the message is the answer. */
export class RequestError extends Error {
  override readonly name = "RequestError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}
