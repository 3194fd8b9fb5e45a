/** The time axis of the timeline: moments to percent of its width, and the ticks on it. Moments are Unix seconds. */

export interface TimeScale {
  readonly now: number;
  /** Percent from the left; what is beyond an end is put there. */
  position(moment: number): number;
  readonly ticks: readonly { readonly at: number; readonly label: string }[];
}

const hour = 3600;
const day = 24 * hour;
const leastSpan = hour;
/** What is older is a wrong clock, or so old that nothing else could be seen beside it. */
const mostSpan = 10 * 366 * day;
/** Share of the span that is left free at both ends, so that no bar touches the edge. */
const margin = 0.02;
const mostTicks = 6;
/** The end of the year 9999. */
const mostSeconds = 253_402_300_799;
/** The label of now needs so much room, in percent. */
const roomOfNow = 9;

/** @param moments What is to be seen; those that are no moments, or absurd ones, are left out. */
export function timeScale(moments: readonly number[], nowSeconds: number): TimeScale {
  const now = Math.min(mostSeconds, Math.max(0, Number.isNaN(nowSeconds) ? 0 : nowSeconds));
  const oldest = moments.reduce((least, at) => (at < least && at >= now - mostSpan ? at : least), now - leastSpan);
  const span = now - oldest;
  // A clock that is ahead may be seen to be ahead; one that is far ahead must not squeeze all else.
  const newest = moments.reduce((most, at) => (at > most && at <= now + span / 10 ? at : most), now);
  const begin = oldest - margin * span;
  const end = newest + margin * span;
  const position = (moment: number) => {
    if (Number.isNaN(moment)) return 0;
    return Math.min(100, Math.max(0, ((moment - begin) / (end - begin)) * 100));
  };
  const ticks = tickMoments(begin, now).map(({ at, label }) => ({ at: position(at), label }));
  return { now: position(now), position, ticks: ticks.filter(({ at }) => at > 3 && at < position(now) - roomOfNow) };
}

interface Tick {
  readonly at: number;
  readonly label: string;
}

const minutes = [1, 5, 15, 30].map((count) => count * 60);
const hours = [1, 3, 6, 12].map((count) => count * hour);
const days = [1, 2, 7, 14].map((count) => count * day);
const months = [1, 2, 3, 6, 12, 24];

/** At round moments of UTC. */
function tickMoments(begin: number, end: number): Tick[] {
  const fits = (step: number) => (end - begin) / step <= mostTicks;
  const step = [...minutes, ...hours, ...days].find(fits);
  if (step !== undefined) {
    // Weeks begin on Mondays, and the first of January 1970 was a Thursday.
    const offset = step >= 7 * day ? 4 * day : 0;
    const first = Math.ceil((begin - offset) / step) * step + offset;
    const count = Math.max(0, Math.floor((end - first) / step) + 1);
    return Array.from({ length: count }, (_, index) => tick(first + index * step, step));
  }
  const monthsApart = months.find((count) => fits(count * 30.4 * day)) ?? 24;
  const { year, month } = partsOf(begin);
  const from = Math.ceil((year * 12 + month) / monthsApart) * monthsApart;
  const ticks: Tick[] = [];
  for (let number = from; ticks.length <= 2 * mostTicks; number += monthsApart) {
    const at = Date.UTC(Math.floor(number / 12), number % 12) / 1000;
    if (at > end) break;
    if (at >= begin) ticks.push({ at, label: monthsApart >= 12 ? String(partsOf(at).year) : monthLabel(at) });
  }
  return ticks;
}

const monthNames = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"] as const;

function partsOf(at: number): { year: number; month: number; dayOfMonth: number; time: string } {
  const date = new Date(at * 1000);
  const time = Number.isNaN(date.getTime()) ? "" : date.toISOString().slice(11, 16);
  return { year: date.getUTCFullYear(), month: date.getUTCMonth(), dayOfMonth: date.getUTCDate(), time };
}

const monthLabel = (at: number): string => `${monthNames[partsOf(at).month]} ${partsOf(at).year}`;

function tick(at: number, step: number): Tick {
  const { month, dayOfMonth, time } = partsOf(at);
  const isDay = step >= day || time === "00:00";
  return { at, label: isDay ? `${dayOfMonth} ${monthNames[month]}` : time };
}
