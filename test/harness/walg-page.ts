/** Reads a page of metrics in a test. */

/** Sample lines of a page, without those of histograms, by name and labels in the order of the alphabet. */
export function samplesOf(page: string): Record<string, number> {
  const samples: Record<string, number> = {};
  for (const line of page.split("\n")) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!match?.[1] || (/_(?:bucket|sum|count)$/.test(match[1]) && match[1].includes("command_duration"))) continue;
    const labels = [...(match[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([pair]) => pair).sort();
    samples[labels.length > 0 ? `${match[1]}{${labels.join(",")}}` : match[1]] = Number(match[3]);
  }
  return samples;
}

/** The samples of one family. */
export function family(page: string, name: string): Record<string, number> {
  const entries = Object.entries(samplesOf(page)).filter(([key]) => key === name || key.startsWith(`${name}{`));
  return Object.fromEntries(entries.map(([key, value]) => [key.slice(name.length), value]));
}
