/** Since when the server has had WAL that is not flushed here. */

interface Mark {
  readonly lsn: bigint;
  /** Unix seconds. */
  readonly at: number;
}

/** Marks are this far apart: the lag is that exact. */
const apartSeconds = 0.1;
/** Beyond so many, the marks of a long outage are merged. */
const mostMarks = 1024;

export class LagClock {
  #marks: Mark[] = [];
  #end = 0n;
  #flushed = 0n;

  /** The server's WAL reaches to `lsn`, as of `at`. */
  serverAt(lsn: bigint, at: number): void {
    if (lsn <= this.#end && this.#end !== 0n) return;
    this.#end = lsn;
    const last = this.#marks.at(-1);
    if (last && at - last.at < apartSeconds) {
      // The mark moves on: its WAL is a little older than it says, never younger.
      this.#marks[this.#marks.length - 1] = { lsn, at: last.at };
      return;
    }
    this.#marks.push({ lsn, at });
    if (this.#marks.length > mostMarks) this.#marks = inPairs(this.#marks);
  }

  /** Everything before `lsn` is flushed here. A new timeline repeats what the one before had in the same segment. */
  flushedTo(lsn: bigint): void {
    if (lsn <= this.#flushed) return;
    this.#flushed = lsn;
    const left = this.#marks.findIndex((mark) => mark.lsn > lsn);
    if (left !== 0) this.#marks.splice(0, left === -1 ? this.#marks.length : left);
  }

  /** A new stream: positions may go back, the server may be another. */
  restart(serverLsn: bigint, flushed: bigint, since: number): void {
    this.#end = serverLsn;
    this.#flushed = flushed;
    this.#marks = serverLsn > flushed ? [{ lsn: serverLsn, at: since }] : [];
  }

  /** Unix seconds; 0: nothing is missing here. */
  get behindSince(): number {
    return this.#end > this.#flushed ? (this.#marks[0]?.at ?? 0) : 0;
  }
}

/** Half as many marks; WAL of the second of two counts as old as that of the first. */
function inPairs(marks: readonly Mark[]): Mark[] {
  const merged: Mark[] = [];
  for (let index = 0; index < marks.length; index += 2) {
    const [first, second] = [marks[index], marks[index + 1]];
    if (first) merged.push({ lsn: (second ?? first).lsn, at: first.at });
  }
  return merged;
}
