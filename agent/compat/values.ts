/** Values as the originals spell them, in holdfast's notation. */
import { UsageError } from "../commands/command.ts";
import { parseAddress, parseDuration } from "../sdk/units.ts";

const goDuration = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/;
const secondsPerUnit: Readonly<Record<string, number>> = {
  ns: 1e-9,
  us: 1e-6,
  µs: 1e-6,
  μs: 1e-6,
  ms: 1e-3,
  s: 1,
  m: 60,
  h: 3600,
};

/** Seconds in a duration as Go has it, such as `1h30m`, `1.5h`, `-3s`, `0`; undefined where it is none. Source: Go, time.ParseDuration. */
export function parseGoDuration(text: string): number | undefined {
  if (/^[+-]?0$/.test(text)) return 0;
  const [, sign, parts] = goDuration.exec(text) ?? [];
  if (parts === undefined) return undefined;
  let seconds = 0;
  for (const [, amount, unit = ""] of parts.matchAll(/([\d.]+)(ns|us|µs|μs|ms|s|m|h)/g)) {
    seconds += Number(amount) * (secondsPerUnit[unit] ?? 0);
  }
  return sign === "-" ? -seconds : seconds;
}

/**
 * A duration of the original in holdfast's spelling.
 * @param name Of the flag, variable or key, for messages.
 * @throws {UsageError} It is none, or less than `atLeastSeconds`.
 */
export function durationOf(name: string, text: string, atLeastSeconds = 0): string {
  const seconds = parseGoDuration(text) ?? parseDuration(text);
  const wrong = (expected: string) =>
    new UsageError(`Cannot read ${name} ${JSON.stringify(text)}: expected ${expected}`);
  if (seconds === undefined) throw wrong('a duration such as "30s" or "1h30m"');
  if (seconds < atLeastSeconds) {
    throw wrong(atLeastSeconds === 0 ? "a duration that is not negative" : `at least ${formatSeconds(atLeastSeconds)}`);
  }
  return parseDuration(text) === seconds ? text : formatSeconds(seconds);
}

export const formatSeconds = (seconds: number): string =>
  Number.isInteger(seconds) ? `${seconds}s` : `${Number((seconds * 1000).toFixed(6))}ms`;

/** @throws {UsageError} It is no address. */
export function addressOf(name: string, text: string): string {
  if (parseAddress(text)) return text;
  throw new UsageError(
    `Cannot read ${name} ${JSON.stringify(text)}: expected an address such as "127.0.0.1:9351" or ":9351"`,
  );
}

/** @throws {UsageError} It is none of the words. */
export function wordOf<Word extends string>(name: string, text: string, words: readonly Word[]): Word {
  const word = words.find((one) => one === text);
  if (word !== undefined) return word;
  throw new UsageError(`Cannot read ${name} ${JSON.stringify(text)}: expected one of ${words.join(", ")}`);
}
