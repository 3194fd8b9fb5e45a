/**
 * Mends a flaw of prom-client 15: it tells the series of a metric apart by `name:value,` joined, so that label values
 * with commas and colons in them meet, and one series silently takes the place of another. To be imported before its
 * metric classes, which take these functions when they are loaded. Source: prom-client/lib/util.js.
 */
import util from "prom-client/lib/util.js";

type Labels = Readonly<Record<string, unknown>>;
type Series = Record<string, { value: number; labels: Labels }>;

/** A text that only equal label sets share; empty for none, which prom-client relies on. */
export function seriesKey(labels: Labels, sortedNames: readonly string[] = Object.keys(labels).sort()): string {
  let key = "";
  for (const name of sortedNames) {
    const value = labels[name];
    if (value === undefined) continue;
    const text = String(value);
    key += `${name}:${text.length}:${text},`;
  }
  return key;
}

Object.assign(util, {
  hashObject: seriesKey,
  setValue(series: Series, value: unknown, labels: Labels = {}): Series {
    series[seriesKey(labels)] = { value: typeof value === "number" ? value : 0, labels };
    return series;
  },
  removeLabels(series: Series, labels: Labels, sortedNames: readonly string[]): void {
    delete series[seriesKey(labels, sortedNames)];
  },
});
