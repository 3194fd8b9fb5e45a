/** What every `barman -f json` command answers: one object, with messages among its keys. */

/** Any JSON object. */
export type JsonObject = { readonly [key: string]: unknown };

export type MessageLevel = "debug" | "info" | "warning" | "error" | "exception";

/** An answer taken apart. `data` is in Barman's order; its keys are server names (`diagnose`: sections). */
export interface Envelope {
  readonly data: ReadonlyMap<string, unknown>;
  /** What Barman would have printed on a terminal. */
  readonly messages: Readonly<Record<MessageLevel, readonly string[]>>;
}

// Source: barman/output.py, JsonOutputWriter; each holds an array of texts, and `_DEBUG` exists with `-d` only.
const messageKeys: ReadonlyMap<string, MessageLevel> = new Map([
  ["_DEBUG", "debug"],
  ["_INFO", "info"],
  ["_WARNING", "warning"],
  ["_ERROR", "error"],
  ["_EXCEPTION", "exception"],
]);

/**
 * Reads an answer. Lines printed before the object, such as a warning of Python, are skipped; anything behind it,
 * a second object, or an object that breaks off makes the answer unreadable.
 * @param stdout Output of `barman -f json …` or `barman diagnose`.
 * @throws {SyntaxError} No such object. The message tells nothing of the content, which may hold passwords.
 */
export function parseEnvelope(stdout: string, command: string): Envelope {
  const object = parseObject(stdout);
  if (object === undefined) {
    const found = stdout.trim() === "" ? "nothing" : `${stdout.length} characters that are not one JSON object`;
    throw new SyntaxError(`Cannot read the answer of barman ${command}: found ${found}`);
  }
  const data = new Map<string, unknown>();
  const messages: Record<MessageLevel, readonly string[]> = {
    debug: [],
    info: [],
    warning: [],
    error: [],
    exception: [],
  };
  for (const [key, value] of Object.entries(object)) {
    const level = messageKeys.get(key);
    if (level === undefined) data.set(key, value);
    else messages[level] = (Array.isArray(value) ? value : [value]).map(messageText);
  }
  return { data, messages };
}

/** Barman's messages are texts; for anything else, its JSON. */
const messageText = (message: unknown): string => (typeof message === "string" ? message : JSON.stringify(message));

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** More line starts than this are noise, not an answer. */
const mostCandidates = 64;

function parseObject(text: string): JsonObject | undefined {
  const whole = tryObject(text);
  if (whole) return whole;
  // Barman's own object starts a line, or is the first brace of all. Inner braces never count: the tail of an answer
  // that broke off may well be an object too, with other keys.
  const starts: number[] = [];
  for (let at = text.indexOf("{"); at !== -1 && starts.length < mostCandidates; at = text.indexOf("\n{", at)) {
    if (text[at] === "\n") at += 1;
    const object = tryObject(text.slice(at));
    if (object) return starts.some((before) => tryObject(text.slice(before, at))) ? undefined : object;
    starts.push(at);
  }
  return undefined;
}

function tryObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
