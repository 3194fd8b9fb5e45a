/** Names of snapshots. Source: prometheus/web/api/v1/api.go, `snapshot`: `time.Now().UTC()` and a random number. */

/** What Prometheus itself writes: only such a folder is ever deleted. */
const exactName = /^\d{8}T\d{6}Z-[0-9a-f]{16}$/;
/** What may be downloaded: the original's rule, for ASCII alone. No dot, slash or second dash: no way out of a folder. */
const downloadName = /^[a-z0-9]+-[a-z0-9]+$/i;

export function isExactName(name: string): boolean {
  return exactName.test(name) && snapshotTime(name) !== undefined;
}

export function isDownloadName(name: string): boolean {
  // `$` would also stand before a newline in other languages; not in this one without the flag `m`.
  return downloadName.test(name);
}

const stamp = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(?:[.,]\d+)?(?:Z|([+-])(\d\d)(\d\d))$/;

/**
 * The moment in a name, Unix milliseconds: what stands before the first dash, with `Z` or an offset behind it.
 * Undefined where that is no time of the calendar.
 */
export function snapshotTime(name: string): number | undefined {
  const dash = name.indexOf("-");
  const match = dash < 0 ? null : stamp.exec(name.slice(0, dash));
  if (!match) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number);
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  const isOfCalendar =
    date.getUTCFullYear() === year &&
    date.getUTCMonth() === month - 1 &&
    date.getUTCDate() === day &&
    date.getUTCHours() === hour &&
    date.getUTCMinutes() === minute &&
    date.getUTCSeconds() === second;
  const [sign, offsetHours, offsetMinutes] = [match[7], Number(match[8] ?? 0), Number(match[9] ?? 0)];
  if (!isOfCalendar || offsetHours > 24 || offsetMinutes >= 60) return undefined;
  const offsetMs = (offsetHours * 60 + offsetMinutes) * 60_000 * (sign === "-" ? -1 : 1);
  return date.getTime() - offsetMs;
}
