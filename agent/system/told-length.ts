/**
 * The Content-Length of an answer whose body streams, on its way from a worker to the agent: Bun.serve takes it off
 * (https://github.com/oven-sh/bun/issues/10507), so it travels under a name of its own.
 */
const toldAs = "x-holdfast-content-length";

/** In the worker: tells the length a second time. */
export function tellLength(response: Response): Response {
  const length = response.headers.get("content-length");
  // With an encoding, what streams may be another text than what was measured.
  if (length !== null && !response.headers.has("content-encoding")) response.headers.set(toldAs, length);
  return response;
}

/** In the agent: the length as the plugin told it. */
export function restoreLength(headers: Headers): void {
  const length = headers.get(toldAs);
  headers.delete(toldAs);
  if (length !== null && /^\d+$/.test(length)) headers.set("content-length", length);
}
