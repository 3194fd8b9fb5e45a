/** Says a failure once, and its recovery: what fails every minute must not fill the log. */
import type { Log, LogFields } from "../sdk/index.ts";

interface Failing {
  readonly since: number;
  failures: number;
  readonly reasons: Map<string, { warnedAt: number; suppressed: number }>;
}

const remindAfterMs = 3_600_000;

/**
 * The first failure of a key for each reason is a warning. Its repeats are debug lines, and once an hour a warning
 * that counts those (`repeats`). The recovery is an info line with the number of failures and the time they took.
 */
export class Repeats {
  readonly #now: () => number;
  readonly #failing = new Map<string, Failing>();

  /** @param now A clock in milliseconds that never goes back. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** @param reason One word of a closed list: each is remembered until the key recovers. */
  failure(log: Log, key: string, reason: string, message: string, fields: LogFields = {}): void {
    const now = this.#now();
    const failing = this.#failing.get(key) ?? { since: now, failures: 0, reasons: new Map() };
    this.#failing.set(key, failing);
    failing.failures++;
    const said = failing.reasons.get(reason);
    if (said !== undefined && now - said.warnedAt < remindAfterMs) {
      said.suppressed++;
      log.debug(message, { ...fields, reason });
      return;
    }
    const repeats = said === undefined ? undefined : said.suppressed + 1;
    failing.reasons.set(reason, { warnedAt: now, suppressed: 0 });
    log.warn(message, { ...fields, reason, repeats });
  }

  /** Logs nothing for a key that was not failing. */
  recovery(log: Log, key: string, message: string, fields: LogFields = {}): void {
    const failing = this.#failing.get(key);
    if (failing === undefined) return;
    this.#failing.delete(key);
    const failed_for_seconds = Math.round((this.#now() - failing.since) / 1000);
    log.info(message, { ...fields, failures: failing.failures, failed_for_seconds });
  }

  /** Lets the next failures of a key be warnings: somebody has changed something, and looks whether it helped. */
  renew(key: string): void {
    this.#failing.get(key)?.reasons.clear();
  }

  /** Drops a key that is gone, without a word. */
  forget(key: string): void {
    this.#failing.delete(key);
  }
}
