/** What Go's standard library accepts and prints, where clients of the original server depend on it. */

/** Source: `strconv.ParseBool`. */
const booleans: Readonly<Record<string, boolean>> = {
  "1": true,
  t: true,
  T: true,
  true: true,
  TRUE: true,
  True: true,
  "0": false,
  f: false,
  F: false,
  false: false,
  FALSE: false,
  False: false,
};

/** Undefined where it is none of the twelve spellings. */
export function parseGoBool(text: string): boolean | undefined {
  return Object.hasOwn(booleans, text) ? booleans[text] : undefined;
}

const escapes: Readonly<Record<string, string>> = {
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  '"': '\\"',
  "\\": "\\\\",
};

/** Source: `strconv.Quote`. */
export function goQuote(text: string): string {
  let quoted = "";
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    const short = escapes[character];
    if (short !== undefined) quoted += short;
    else if (code < 0x20 || code === 0x7f) quoted += `\\x${code.toString(16).padStart(2, "0")}`;
    else if (isPrintable(character)) quoted += character;
    else if (code < 0x10000) quoted += `\\u${code.toString(16).padStart(4, "0")}`;
    else quoted += `\\U${code.toString(16).padStart(8, "0")}`;
  }
  return `"${quoted}"`;
}

/** Source: `strconv.IsPrint`: letters, marks, numbers, punctuation, symbols, and the ASCII space. */
const isPrintable = (character: string) => character === " " || /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(character);

/** Source: `json.MarshalIndent` with two spaces, HTML characters escaped, and the newline of `Encoder.Encode`. */
export function goJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2).replace(/[<>&\u2028\u2029]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`)}\n`;
}

const millisecondsPerUnit: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  // Go has none of these; people write them.
  d: 86_400_000,
  w: 604_800_000,
};
/** About 292 years: what Go's 63 bits of nanoseconds hold. */
const mostMs = (2 ** 63 - 1) / 1e6;

/** Milliseconds in a Go duration such as `1h30m`, `1.5h`, `100ms`, `-1h`, or `7d`; undefined where it is none. */
export function parseGoDuration(text: string): number | undefined {
  const match = /^([+-]?)(.*)$/s.exec(text);
  const body = match?.[2] ?? "";
  if (body === "0") return 0;
  if (!/^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|[smhdw]))+$/.test(body)) return undefined;
  let total = 0;
  for (const [, amount, unit = ""] of body.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|[smhdw])/g)) {
    total += Number(amount) * (millisecondsPerUnit[unit] ?? Number.NaN);
  }
  if (!(total <= mostMs)) return undefined;
  return match?.[1] === "-" && total !== 0 ? -total : total;
}

/** What `time.ParseDuration` says of a text that {@link parseGoDuration} refuses. */
export function durationError(text: string): string {
  const isTooLong = /^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|[smhdw]))+$/.test(text);
  if (isTooLong) return `time: invalid duration ${goQuote(text)}`;
  const unknown = /^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|[smhdw]))*(?:\d+\.?\d*|\.\d+)([^\d.]+)/.exec(
    text,
  )?.[1];
  if (unknown !== undefined) return `time: unknown unit ${goQuote(unknown)} in duration ${goQuote(text)}`;
  if (/^[+-]?(?:\d+\.?\d*|\.\d+)$/.test(text)) return `time: missing unit in duration ${goQuote(text)}`;
  return `time: invalid duration ${goQuote(text)}`;
}
