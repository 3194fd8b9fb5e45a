/** Times as people say them, for the status page. */

/** A span such as `42 s`, `3 min`, `5 h 12 min`, `9 d 4 h`: two units at most, rounded down. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return joined(hours, "h", minutes % 60, "min");
  return joined(Math.floor(hours / 24), "d", hours % 24, "h");
}

function joined(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

/** How long something took: `3 ms`, `0.42 s`, `12.3 s`, then as {@link span}. */
export function took(seconds: number): string {
  if (seconds < 0.0005) return "< 1 ms";
  if (seconds < 0.1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  return seconds < 59.95 ? `${seconds.toFixed(1)} s` : span(seconds);
}

/** A moment against now: `now`, `42 s ago`, `in 5 min`. */
export function relative(unixMs: number, now: number): string {
  const seconds = (unixMs - now) / 1000;
  if (Math.abs(seconds) < 1) return "now";
  return seconds < 0 ? `${span(-seconds)} ago` : `in ${span(seconds)}`;
}

/** `1 instance`, `12,345 series`. */
export function count(number: number, one: string, many: string): string {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}
