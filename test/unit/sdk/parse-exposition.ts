/** The sample lines of the text format 0.0.4, read as its definition says and not as the writer writes. */

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const line = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/s;
const pair = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/gsy;

/** @throws {SyntaxError} A line is none. */
export function parseSamples(text: string): Sample[] {
  if (text !== "" && !text.endsWith("\n")) throw new SyntaxError("The last line has no end");
  const lines = text.split("\n").slice(0, -1);
  return lines.filter((one) => !one.startsWith("#")).map(parseSample);
}

function parseSample(text: string): Sample {
  const match = line.exec(text);
  if (!match) throw new SyntaxError(`No sample: ${JSON.stringify(text)}`);
  const [, name = "", pairs = "", value = ""] = match;
  const labels: Record<string, string> = {};
  let read = 0;
  for (const [whole, label = "", escaped = ""] of pairs.matchAll(pair)) {
    labels[label] = escaped.replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
    read += whole.length;
  }
  if (read !== pairs.length) throw new SyntaxError(`No labels: ${JSON.stringify(pairs)}`);
  return { name, labels, value: parseValue(value) };
}

function parseValue(text: string): number {
  if (text === "+Inf") return Number.POSITIVE_INFINITY;
  if (text === "-Inf") return Number.NEGATIVE_INFINITY;
  if (text === "NaN") return Number.NaN;
  if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) throw new SyntaxError(`No value: ${text}`);
  return Number(text);
}
