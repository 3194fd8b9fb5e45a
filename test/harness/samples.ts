/** Reads the text format 0.0.4, as far as tests look at it. */

export interface TextSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** All samples of a page, in its order. @throws {SyntaxError} A line is neither a comment nor a sample. */
export function readSamples(text: string): TextSample[] {
  return text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [, name, inner = "", number] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: \d+)?$/.exec(line) ?? [];
      if (name === undefined || number === undefined) throw new SyntaxError(`Cannot read the sample ${line}`);
      const labels = [...inner.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"(?:,|$)/g)].map(([, label = "", value = ""]) => [
        label,
        value.replace(/\\(.)/g, (_, character: string) => (character === "n" ? "\n" : character)),
      ]);
      return { name, labels: Object.fromEntries(labels), value: Number(number.replace("Inf", "Infinity")) };
    });
}

/** The samples of one name whose labels include those given. */
export function findSamples(text: string, name: string, labels: Readonly<Record<string, string>> = {}): TextSample[] {
  return readSamples(text).filter(
    (sample) =>
      sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  );
}

/** The value of the one sample that fits; undefined where there is none. @throws {Error} There are several. */
export function sampleValue(
  text: string,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const found = findSamples(text, name, labels);
  if (found.length > 1)
    throw new Error(`${found.length} samples of ${name} fit ${JSON.stringify(labels)}, expected one`);
  return found[0]?.value;
}
