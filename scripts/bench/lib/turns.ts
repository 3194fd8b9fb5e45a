/** Contenders in turns, so that what else the machine does meets all of them. */
import { loadavg } from "node:os";

/**
 * Runs each contender once a round; every other round in reverse, for whoever comes second finds warmer caches.
 * @returns What each run gave, by contender.
 */
export async function inTurns<Result>(
  rounds: number,
  contenders: Readonly<Record<string, () => Promise<Result>>>,
): Promise<Map<string, Result[]>> {
  const results = new Map<string, Result[]>(Object.keys(contenders).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    const entries = Object.entries(contenders);
    for (const [name, run] of round % 2 ? entries.reverse() : entries) results.get(name)?.push(await run());
  }
  return results;
}

/** NaN of none. */
export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** Seconds that some work takes. */
export async function seconds(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return (performance.now() - startedAt) / 1000;
}

/** For the head of a report: what else the machine did just before. */
export const loadText = (): string => `load average ${loadavg()[0]?.toFixed(1)}`;

/** The arguments behind the script's name: numbers, and whether `--quick` is among them. */
export function benchArguments(): { readonly quick: boolean; readonly numbers: readonly number[] } {
  const all = process.argv.slice(2);
  const numbers = all.filter((arg) => arg !== "--quick").map(Number);
  if (numbers.some((number) => !Number.isInteger(number) || number < 1))
    throw new RangeError(`Cannot read the arguments ${all.join(" ")}: expected --quick and whole numbers`);
  return { quick: all.includes("--quick"), numbers };
}
