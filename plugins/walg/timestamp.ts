/** Moments as wal-g writes them. */

const rfc3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))$/;
/** `st ls`: the layout of Go's `Time.String()`. */
const goTime = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,9})?) ([+-]\d\d)(\d\d)(?: |$)/;

/**
 * Unix seconds, with milliseconds, of an RFC 3339 text with 0 to 9 digits behind the point; undefined when it is none,
 * or is Go's zero time (year 1), which stands for unknown. What is finer than a millisecond is cut off, never rounded
 * up, so that the whole second stays the one written.
 */
export function parseTimestamp(text: unknown): number | undefined {
  const match = typeof text === "string" ? rfc3339.exec(text) : null;
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second, fraction = "", sign = "+", offsetHours = "0", offsetMinutes = "0"] =
    match;
  const [y, mo, d, h, mi, s] = [year, month, day, hour, minute, second].map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (y <= 1 || mo < 1 || mo > 12 || d < 1 || d > daysInMonth(y, mo) || h > 23 || mi > 59 || s > 59) return undefined;
  if (Number(offsetHours) > 23 || Number(offsetMinutes) > 59) return undefined;
  const offsetSeconds = (Number(offsetHours) * 3600 + Number(offsetMinutes) * 60) * (sign === "-" ? -1 : 1);
  const milliseconds = Number(fraction.slice(0, 3).padEnd(3, "0"));
  return (Date.UTC(y, mo - 1, d, h, mi, s) - offsetSeconds * 1000 + milliseconds) / 1000;
}

/** Seconds from one moment to another, to the millisecond, free of the noise that a difference of floats has. */
export function secondsBetween(from: number, to: number): number {
  return Math.round((to - from) * 1000) / 1000;
}

/** Unix seconds of a time as `st ls` prints it, `2026-01-02 11:55:00.5 +0000 UTC`; undefined when it is none. */
export function parseGoTime(text: string): number | undefined {
  const match = goTime.exec(text);
  return match ? parseTimestamp(`${match[1]}T${match[2]}${match[3]}:${match[4]}`) : undefined;
}

function daysInMonth(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}
