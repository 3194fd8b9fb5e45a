/**
 * A histogram whose observations were counted elsewhere. prom-client can only observe one value after the other, so
 * this sets what it keeps of a histogram without labels: `hashMap`, whose only key is then the empty text.
 * Source: prom-client 15, lib/histogram.js, `createBaseValues` and `extractBucketValuesForExport`.
 */
import type { Metrics } from "holdfast";

interface Kept {
  hashMap: Record<
    string,
    { labels: object; bucketValues: Readonly<Record<string, number>>; sum: number; count: number }
  >;
}

/** What was observed so far. `counts` is not cumulated and has one more entry than there are bounds, for what exceeds all. */
export interface Observations {
  readonly counts: readonly number[];
  readonly sum: number;
}

/** Registers a histogram; the returned function makes it show these observations, in place of what it showed. */
export function createReadyMadeHistogram(
  metrics: Metrics,
  { name, help, bounds }: { name: string; help: string; bounds: readonly number[] },
): (observations: Observations) => void {
  const histogram = metrics.histogram({ name, help, buckets: [...bounds] });
  return ({ counts, sum }) => {
    const bucketValues = Object.fromEntries(bounds.map((bound, index) => [bound, counts[index] ?? 0]));
    const count = counts.reduce((total, one) => total + one, 0);
    (histogram as unknown as Kept).hashMap = { "": { labels: {}, bucketValues, sum, count } };
  };
}
