/** What an alert is tested with: series that make it fire, and series that do not. */

export interface AlertCase {
  readonly alert: string;
  /** Lines `SERIES VALUES` in promtool's notation; a value alone stays for the whole test. From the minute 0 on. */
  readonly fires: readonly string[];
  /** The alert's labels, beside its name, state and severity; promtool compares them all. */
  readonly labels: Readonly<Record<string, string>>;
  /** Each of them must stay quiet: first what a healthy host says, then what is nearly bad. */
  readonly quiet: readonly (readonly string[])[];
  /** Minutes from when the series are bad to when the expression says so: the window of an `increase()`. Default 0. */
  readonly noticedAfter?: number;
}

/** The Unix seconds of a moment that was so many hours before promtool's clock begins, at 0. */
export const hoursAgo = (hours: number): number => -hours * 3600;

export const GiB = 1024 ** 3;
