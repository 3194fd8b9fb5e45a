/** The JSON document in what a command printed: found among log lines, and without loss in its large integers. */

/** Keys whose integers can be above 2^53: `JSON.parse` would round them, so they are read as strings of digits. */
const largeIntegers =
  /(?<!\\)"(start_lsn|finish_lsn|switch_point_lsn|system_identifier)"(\s*:\s*)(-?\d{16,})(?=\s*[,}\]])/g;

/** What a document can begin with. A log prefix such as `[2026/01/02]` or `[main]` cannot. */
const opening = /\[\s*[{\]]|\{\s*["}]/g;

/**
 * The document in a command's output: the longest JSON value that `accepts` takes, wherever it begins, so that a byte
 * order mark, log lines before or behind it, and brackets in them do no harm.
 * @throws {SyntaxError} There is none; the message shows how the output begins.
 */
export function readDocument<Document>(output: string, accepts: (value: unknown) => value is Document): Document {
  const text = output.replace(largeIntegers, '"$1"$2"$3"');
  try {
    const value: unknown = JSON.parse(text);
    if (accepts(value)) return value;
  } catch {
    const found = longestDocument(text, accepts);
    if (found !== undefined) return found;
  }
  const begins = output.trim().slice(0, 80);
  throw new SyntaxError(
    `Cannot read the output as the expected JSON: it ${begins === "" ? "is empty" : `begins ${JSON.stringify(begins)}`}`,
  );
}

/**
 * Looks for values from one end of the text to the other. What lies inside a value is none of its own, and a line that
 * begins with a value without an end is a truncated document: of that no part is taken for the whole.
 */
function longestDocument<Document>(text: string, accepts: (value: unknown) => value is Document): Document | undefined {
  let best: { value: Document; length: number } | undefined;
  opening.lastIndex = 0;
  for (let match = opening.exec(text); match; match = opening.exec(text)) {
    const start = match.index;
    const end = endOfValue(text, start);
    if (end === undefined) {
      if (start === 0 || text[start - 1] === "\n") break;
      const lineEnd = text.indexOf("\n", start);
      if (lineEnd === -1) break;
      opening.lastIndex = lineEnd;
      continue;
    }
    opening.lastIndex = end;
    const value = parse(text.slice(start, end));
    if (accepts(value) && end - start > (best?.length ?? 0)) best = { value, length: end - start };
  }
  return best?.value;
}

/** The index behind the value that begins at `start`; undefined when it has no end. */
function endOfValue(text: string, start: number): number | undefined {
  const token = /"(?:[^"\\]|\\.)*"|[[\]{}]/gs;
  token.lastIndex = start;
  let depth = 0;
  for (let match = token.exec(text); match; match = token.exec(text)) {
    const [found] = match;
    if (found === "[" || found === "{") depth++;
    else if ((found === "]" || found === "}") && --depth === 0) return token.lastIndex;
  }
  return undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A whole number from 0 to 2^53-1; undefined for anything else. */
export function readCount(value: unknown): number | undefined {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

export function readText(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
