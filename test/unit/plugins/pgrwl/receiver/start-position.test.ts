import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Ancestor } from "../../../../../plugins/common/postgres/timeline-history.ts";
import { formatSegmentName } from "../../../../../plugins/common/postgres/wal-segments.ts";
import type { HeldSegment } from "../../../../../plugins/pgrwl/receiver/directory.ts";
import { GapError } from "../../../../../plugins/pgrwl/receiver/gaps.ts";
import {
  chooseStart,
  type ServerState,
  timelineAt,
  withoutFiles,
} from "../../../../../plugins/pgrwl/receiver/start-position.ts";
import { mib, ourSystem } from "./wal-content.ts";

const size = BigInt(mib);
const at = (segments: number) => BigInt(Math.round(segments * mib));

function server(known: Partial<ServerState> = {}): ServerState {
  return {
    systemIdentifier: ourSystem,
    timeline: 1,
    lsn: at(100.5),
    isStandby: false,
    history: [],
    slotLsn: undefined,
    ...known,
  };
}

interface Kind {
  readonly partial?: boolean;
  /** Only with `partial`. */
  readonly empty?: boolean;
  readonly systemIdentifier?: string;
  /** Compressed: its header is unknown. */
  readonly ending?: string;
}

function held(timeline: number, number: number, kind: Kind = {}): HeldSegment {
  const { partial = false, empty = false, systemIdentifier = ourSystem, ending = "" } = kind;
  const hasHeader = !empty && ending === "";
  return {
    timeline,
    number,
    file: `${formatSegmentName({ timeline, number }, mib)}${ending}${partial ? ".partial" : ""}`,
    isComplete: !partial,
    isEmpty: empty,
    header: hasHeader
      ? { timeline, startLsn: BigInt(number) * size, systemIdentifier, segmentSizeBytes: mib }
      : undefined,
    modifiedAt: 0,
  };
}

/** As `readHoldings()` hands them over. */
const sorted = (segments: readonly HeldSegment[]): HeldSegment[] =>
  segments.toSorted(
    (a, b) =>
      Number(a.isEmpty) - Number(b.isEmpty) ||
      b.number - a.number ||
      b.timeline - a.timeline ||
      Number(b.isComplete) - Number(a.isComplete),
  );

/** Timeline 2 begins in segment 8, timeline 3 in segment 12. */
const history: readonly Ancestor[] = [
  { timeline: 1, endLsn: at(8.5) },
  { timeline: 2, endLsn: at(12.25) },
];

describe("without files", () => {
  test("the slot tells where to begin, at the first byte of its segment", () => {
    expect(chooseStart([], undefined, server({ slotLsn: at(7.75) }), mib)).toEqual({
      timeline: 1,
      lsn: at(7),
      source: "slot",
    });
  });
  test("without a slot that keeps WAL, the server does", () => {
    expect(chooseStart([], undefined, server(), mib)).toEqual({ timeline: 1, lsn: at(100), source: "server" });
  });
  test.each([
    [8.25, 1],
    [8.5, 2],
    [12, 2],
    [12.25, 3],
    [99, 3],
  ])("a slot at segment %d is on timeline %d of the server's history", (segments, timeline) => {
    expect(withoutFiles(server({ timeline: 3, history, slotLsn: at(segments) }), mib)).toMatchObject({
      timeline,
      lsn: at(Math.floor(segments)),
    });
  });
});

describe("on the server's timeline", () => {
  test.each([
    ["behind the last whole segment", [held(1, 4), held(1, 5)], 6],
    ["where the partial file begins", [held(1, 5), held(1, 6, { partial: true })], 6],
    ["behind a whole segment, whatever is partial of it", [held(1, 6, { partial: true }), held(1, 6)], 7],
    ["behind a segment that is compressed", [held(1, 6, { ending: ".zst" }), held(1, 5)], 7],
    [
      "behind the last whole segment, whatever is empty behind it",
      [held(1, 5), held(1, 9, { partial: true, empty: true })],
      6,
    ],
    ["where an empty file begins, when there is nothing else", [held(1, 9, { partial: true, empty: true })], 9],
  ])("reception goes on %s", (_, files, segment) => {
    expect(chooseStart(sorted(files), undefined, server({ slotLsn: at(1) }), mib)).toMatchObject({
      timeline: 1,
      lsn: at(segment),
      source: "directory",
    });
  });

  test("a primary that has not come so far is refused, one that is exactly there is not", () => {
    const files = [held(1, 5)];
    expect(chooseStart(files, undefined, server({ lsn: at(6) }), mib).lsn).toBe(at(6));
    expect(() => chooseStart(files, undefined, server({ lsn: at(6) - 1n }), mib)).toThrow(GapError);
    expect(() => chooseStart(files, undefined, server({ lsn: at(5.5) }), mib)).toThrow(
      "000000010000000000000005 ends the WAL received at 0/600000 of timeline 1, the server is at 0/580000",
    );
  });
  test("a standby may still get there", () => {
    expect(chooseStart([held(1, 5)], undefined, server({ lsn: at(3), isStandby: true }), mib).lsn).toBe(at(6));
  });
});

describe("what is not of this server", () => {
  test("another system is refused", () => {
    const files = [held(1, 5, { systemIdentifier: "42" })];
    expect(() => chooseStart(files, undefined, server(), mib)).toThrow(
      `000000010000000000000005 is WAL of the system 42, the server is ${ourSystem}`,
    );
  });
  test.each([2, 5])("timeline %d is refused when the server's history does not have it", (timeline) => {
    expect(() => chooseStart([held(timeline, 5)], undefined, server(), mib)).toThrow(
      `is on timeline ${timeline}, which is no part of the history of the server's timeline 1`,
    );
  });
  test("a server that was promoted to a timeline that is here already is no older one", () => {
    const known = server({ timeline: 3, history: [{ timeline: 1, endLsn: at(8.5) }] });
    expect(() => chooseStart([held(2, 9)], undefined, known, mib)).toThrow(GapError);
  });
});

describe("behind a fork", () => {
  const known = server({ timeline: 3, history });
  test.each([
    ["before it", [held(1, 5)], 1, 6],
    ["in the segment of the fork", [held(1, 7)], 1, 8],
    ["with the segment of the fork in part", [held(1, 8, { partial: true })], 1, 8],
    ["on the timeline in between", [held(1, 8, { partial: true }), held(2, 8), held(2, 10)], 2, 11],
    ["on the server's timeline", [held(2, 12, { partial: true }), held(3, 12), held(3, 13)], 3, 14],
  ])("files that end %s go on from there", (_, files, timeline, segment) => {
    const start = chooseStart(sorted(files), undefined, known, mib);
    expect(start).toMatchObject({ timeline, lsn: at(segment) });
    expect(start.forkBehind).toBeUndefined();
  });

  test("a fork exactly behind the last segment is asked for on the old timeline: the server answers with the new one", () => {
    const exact = server({ timeline: 2, history: [{ timeline: 1, endLsn: at(8) }] });
    expect(chooseStart([held(1, 7)], undefined, exact, mib)).toMatchObject({ timeline: 1, lsn: at(8) });
  });

  test.each([
    ["whole segments beyond it", [held(1, 8), held(1, 9), held(1, 7)]],
    ["a partial file beyond it", [held(1, 9, { partial: true }), held(1, 8), held(1, 7)]],
    ["the segment of the fork as a whole", [held(1, 8), held(1, 7)]],
  ])("%s stay, and the next timeline begins in the segment of the fork", (_, files) => {
    expect(chooseStart(sorted(files), undefined, known, mib)).toMatchObject({
      timeline: 2,
      lsn: at(8),
      forkBehind: { timeline: 1, endLsn: at(8.5) },
    });
  });

  test.each([
    ["whole", [held(1, 10), held(1, 9), held(1, 8), held(2, 8)], 2, 9],
    [
      "whole, and an empty one behind it",
      [held(1, 10), held(1, 9), held(2, 9, { partial: true, empty: true }), held(2, 8)],
      2,
      9,
    ],
    ["partial", [held(1, 10), held(1, 9), held(2, 9, { partial: true }), held(2, 8)], 2, 9],
    ["beyond the next fork too", [held(1, 20), held(2, 14), held(2, 13), held(2, 12)], 3, 12],
    ["beyond the next fork too, and followed", [held(1, 20), held(2, 14), held(2, 13), held(3, 12)], 3, 13],
  ])("files beyond a fork hide none of a later timeline that is %s", (_, files, timeline, segment) => {
    expect(chooseStart(sorted(files), undefined, known, mib)).toMatchObject({ timeline, lsn: at(segment) });
  });

  test("an empty file of the next timeline proves nothing about what lies between", () => {
    const files = [held(1, 10), held(2, 10, { partial: true, empty: true })];
    expect(chooseStart(sorted(files), undefined, known, mib)).toMatchObject({ timeline: 2, lsn: at(8) });
  });
});

describe("what this process completed", () => {
  test("counts when its files were archived", () => {
    const last = { timeline: 1, number: 9 };
    expect(chooseStart([], last, server({ slotLsn: at(3) }), mib)).toMatchObject({ timeline: 1, lsn: at(10) });
    expect(chooseStart([held(1, 4)], last, server(), mib)).toMatchObject({ timeline: 1, lsn: at(10) });
    const empty = held(1, 10, { partial: true, empty: true });
    expect(chooseStart([empty], last, server(), mib)).toMatchObject({ timeline: 1, lsn: at(10) });
  });
  test("does not hide a newer file", () => {
    const last = { timeline: 1, number: 9 };
    expect(chooseStart([held(1, 11)], last, server(), mib).lsn).toBe(at(12));
    expect(chooseStart([held(1, 10, { partial: true })], last, server(), mib).lsn).toBe(at(10));
  });
  test("is held against the server as files are", () => {
    expect(() => chooseStart([], { timeline: 4, number: 9 }, server(), mib)).toThrow(GapError);
    expect(() => chooseStart([], { timeline: 1, number: 9 }, server({ lsn: at(9) }), mib)).toThrow(GapError);
  });
});

test("timelineAt() is the timeline that a server wrote this byte on", () => {
  expect([8.25, 8.5, 12, 12.25].map((segments) => timelineAt(at(segments), { timeline: 3, history }))).toEqual([
    1, 2, 2, 3,
  ]);
});

/** An archive as reception leaves it: each timeline from the segment of its fork on, without a hole, some beyond the fork. */
const archive = fc
  .record({
    lengths: fc.array(fc.integer({ min: 1, max: 4 * mib }), { minLength: 1, maxLength: 4 }),
    beyond: fc.array(fc.nat(3), { minLength: 4, maxLength: 4 }),
    known: fc.nat(3),
    empty: fc.boolean(),
  })
  .map(({ lengths, beyond, known, empty }) => {
    const forks: Ancestor[] = [];
    const files: HeldSegment[] = [];
    let begin = at(3);
    /** Of the newest byte on the server's way that is held. */
    let end = begin;
    for (const [index, length] of lengths.entries()) {
      const timeline = index + 1;
      const isLast = index === lengths.length - 1;
      end = begin + BigInt(length);
      const last = Number((end - 1n) / size) + (isLast ? 0 : (beyond[index] ?? 0));
      if (index <= known) {
        for (let number = Number(begin / size); number <= last; number++) {
          const partial = number === last && (isLast || beyond[index] === 0) && end % size !== 0n;
          files.push(held(timeline, number, { partial }));
        }
        if (empty) files.push(held(timeline, last + 1, { partial: true, empty: true }));
      }
      if (!isLast) forks.push({ timeline, endLsn: end });
      begin = end;
    }
    return { files: sorted(files), state: server({ timeline: lengths.length, lsn: end, history: forks }) };
  });

test("no start lies behind the end of what is held on the server's way, and none before the segment of its last byte", () => {
  fc.assert(
    fc.property(archive, ({ files, state }) => {
      const start = chooseStart(files, undefined, state, mib);
      const ways = [...state.history, { timeline: state.timeline, endLsn: state.lsn }];
      /** Everything before this position on the server's way is in a file. */
      let end = at(3);
      for (const { timeline, endLsn } of ways) {
        const mine = files.filter((one) => one.timeline === timeline && !one.isEmpty);
        if (mine.length === 0) break;
        const reached = mine.reduce((most, one) => (one.number > most.number ? one : most));
        const last = reached.isComplete ? BigInt(reached.number + 1) * size : BigInt(reached.number) * size;
        end = last < endLsn ? last : endLsn;
      }
      const segment = end - (end % size);
      expect(start.lsn).toBeLessThanOrEqual(end);
      expect(start.lsn).toBeGreaterThanOrEqual(segment);
      // A server takes this position on this timeline.
      const way = ways.find(({ timeline }) => timeline === start.timeline);
      expect(way).toBeDefined();
      expect(start.lsn).toBeLessThanOrEqual(way?.endLsn ?? -1n);
    }),
    { numRuns: 500 },
  );
});
