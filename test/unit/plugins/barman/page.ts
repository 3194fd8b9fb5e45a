/** Reads a text of metrics back, to compare pages by value and not by spelling. */

export interface Page {
  /** Value by series as it is written: `barman_up{check="ssh",server="pg"}`. */
  readonly samples: ReadonlyMap<string, number>;
  /** `# HELP` and `# TYPE` lines by metric. */
  readonly heads: ReadonlyMap<string, readonly string[]>;
  /** Series of one metric, without its name. */
  of(name: string): Record<string, number>;
}

export function readPage(text: string): Page {
  const samples = new Map<string, number>();
  const heads = new Map<string, string[]>();
  for (const line of text.split("\n").filter(Boolean)) {
    const head = /^# (?:HELP|TYPE) (\S+) /.exec(line);
    if (head?.[1]) {
      heads.set(head[1], [...(heads.get(head[1]) ?? []), line]);
      continue;
    }
    const split = line.lastIndexOf(" ");
    const series = line.slice(0, split);
    if (samples.has(series)) throw new Error(`Series given twice: ${series}`);
    samples.set(series, Number(line.slice(split + 1)));
  }
  const of = (name: string) =>
    Object.fromEntries(
      [...samples]
        .filter(([series]) => nameOf(series) === name)
        .map(([series, value]) => [series.slice(name.length), value]),
    );
  return { samples, heads, of };
}

export const nameOf = (series: string): string => series.split("{", 1)[0] ?? series;
