/** Whatever was promised survives: at every system call, in whatever state a power cut or an end of the process finds it. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { formatLsn } from "../../../../../plugins/common/postgres/lsn.ts";
import { segmentHeaderBytes } from "../../../../../plugins/common/postgres/segment-header.ts";
import { formatSegmentName, parseSegmentName } from "../../../../../plugins/common/postgres/wal-segments.ts";
import { readHoldings } from "../../../../../plugins/pgrwl/receiver/directory.ts";
import { Disk, DiskError } from "../../../../../plugins/pgrwl/receiver/disk.ts";
import {
  chooseStart,
  type LastSegment,
  type ServerState,
} from "../../../../../plugins/pgrwl/receiver/start-position.ts";
import { WalFiles } from "../../../../../plugins/pgrwl/receiver/wal-files.ts";
import { PowerCutDisk } from "./power-cut-disk.ts";
import { mib, ourSystem, ServerWal } from "./wal-content.ts";

const scratch = mkdtempSync(join(tmpdir(), "holdfast-power-cut-"));
afterAll(() => rmSync(scratch, { recursive: true }));

const size = BigInt(mib);
const segmentOfLsn = (lsn: bigint) => Number(lsn / size);
const startOf = (lsn: bigint) => lsn - (lsn % size);

/** A receiver, the disk below it, the server it hears, and everything that it ever told the server to be durable. */
class Machine {
  readonly directory = "/wal";
  readonly server = new ServerWal();
  readonly first = 3n * size;
  disk = new PowerCutDisk(this.directory);
  /** Timeline and segment to how much of it was promised. */
  readonly promised = new Map<string, { readonly timeline: number; readonly number: number; readonly bytes: number }>();
  files = this.#attach();
  serverTimeline = 1;
  serverLsn = this.first;
  timeline = 1;
  position = this.first;
  begun = this.first;
  last: LastSegment | undefined;
  /** With the code `dead`: the end of the process, or of the machine. */
  fault: { readonly after: number; readonly code: string } | undefined;
  fillsWithZeros = false;
  setAside: string[] = [];
  #calls = 0;
  /** Nothing that is called has an effect any more. */
  #isDead = false;

  constructor() {
    this.files.begin(1, this.first);
  }

  #attach(): WalFiles {
    this.disk.beforeChange = () => {
      this.check();
      this.#calls++;
      const code = this.#isDead ? "dead" : this.fault && this.#calls >= this.fault.after ? this.fault.code : undefined;
      if (code === undefined) return;
      this.fault = undefined;
      this.#isDead ||= code === "dead";
      throw Object.assign(new Error(code), { code });
    };
    return new WalFiles({
      directory: this.directory,
      segmentSizeBytes: mib,
      mode: 0o600,
      systemIdentifier: ourSystem,
      disk: new Disk(this.disk),
      mustRepeat: true,
      serverLsn: () => (this.fillsWithZeros ? 0n : 2n ** 63n),
      onSegment: (name) => {
        this.last = parseSegmentName(name, mib);
      },
      onSetAside: (file, reason) => this.setAside.push(`${file}: ${reason}`),
    });
  }

  /** Whatever the flush position promises now, or ever did, is there after each of the power cuts that may come now. */
  check(recentOnly = true): void {
    const { flushed } = this.files;
    for (let at = this.begun; at < flushed; at = startOf(at) + size) {
      const end = startOf(at) + size < flushed ? size : flushed - startOf(at);
      const number = segmentOfLsn(at);
      const key = `${this.timeline}:${number}`;
      const before = this.promised.get(key)?.bytes ?? 0;
      this.promised.set(key, { timeline: this.timeline, number, bytes: Math.max(before, Number(end)) });
    }
    const recent = segmentOfLsn(flushed) - 1;
    const promises = [...this.promised.values()].filter(({ number }) => !recentOnly || number >= recent);
    for (const files of this.disk.powerCuts()) {
      for (const { timeline, number, bytes } of promises) {
        const name = formatSegmentName({ timeline, number }, mib);
        const wanted = this.server.segment(timeline, number).subarray(0, bytes);
        const isThere = [...files].some(
          ([path, { least, most }]) =>
            path.includes(`/${name}`) && [least, most].every((content) => content.subarray(0, bytes).equals(wanted)),
        );
        if (!isThere) throw new Error(`Lost ${bytes} bytes of ${name}; there is ${[...files.keys()].join(", ")}`);
      }
    }
  }

  /** Where the server's WAL of this timeline ends, for who streams it. */
  #end(): bigint {
    return this.server.forks.find(({ timeline }) => timeline === this.timeline + 1)?.lsn ?? this.serverLsn;
  }

  receive(atLeast: number): void {
    // A server sends no part of a page's header.
    const inLast = Number((this.position + BigInt(atLeast)) % size);
    const length = atLeast + (inLast > 0 ? Math.max(segmentHeaderBytes - inLast, 0) : 0);
    this.serverLsn = this.position + BigInt(length) > this.serverLsn ? this.position + BigInt(length) : this.serverLsn;
    while (this.timeline < this.serverTimeline && this.position >= this.#end()) this.#follow();
    const most = this.timeline < this.serverTimeline ? this.#end() - this.position : BigInt(length);
    const bytes = this.server.bytes(this.timeline, this.position, Math.min(length, Number(most)));
    this.files.append(this.position, bytes, 0);
    this.position += BigInt(bytes.length);
    if (this.timeline < this.serverTimeline && this.position >= this.#end()) this.#follow();
  }

  #follow(): void {
    const fork = this.#end();
    this.files.flush();
    this.check();
    this.#begin(this.timeline + 1, startOf(fork));
  }

  #begin(timeline: number, lsn: bigint): void {
    this.timeline = timeline;
    this.position = this.begun = lsn;
    this.files.begin(timeline, lsn);
  }

  flush(): void {
    this.files.flush();
    this.check();
    expect(this.files.flushed).toBe(this.position);
  }

  /** A standby that lacks the last bytes was promoted. */
  fork(behind: number): void {
    const lsn = this.serverLsn - BigInt(behind);
    const earliest = this.server.forks.at(-1)?.lsn ?? this.first;
    if (lsn <= earliest) return;
    this.serverTimeline++;
    this.server.fork({ timeline: this.serverTimeline, lsn });
    this.serverLsn = lsn;
    this.reconnect();
  }

  /** One of the next calls fails. */
  break({ after, code }: { readonly after: number; readonly code: string }): void {
    this.fault = { after: this.#calls + after, code };
  }

  /** How many system calls there were that change something. */
  get calls(): number {
    return this.#calls;
  }
  get isDead(): boolean {
    return this.#isDead;
  }

  settle(): void {
    try {
      this.files.flush();
    } catch {}
    this.check();
    this.files.close();
  }

  reconnect(): void {
    this.files.close();
    const files = new Map<string, Buffer>();
    for (const [path, content] of this.disk.left(() => 1, false)) files.set(path, content);
    this.#resume(files);
  }

  end(random: () => number, isPowerCut: boolean): void {
    const left = this.disk.left(random, isPowerCut);
    this.last = undefined;
    this.fault = undefined;
    this.#isDead = false;
    if (isPowerCut) this.disk = PowerCutDisk.from(this.directory, left);
    else this.disk.closeAll();
    this.files = this.#attach();
    this.begun = this.position = this.files.flushed;
    this.#resume(left);
    this.check(false);
  }

  /** Receives once more what is there already, as from a slot that stands far behind. */
  rewind(segments: number): void {
    const earliest = startOf(
      this.server.forks.findLast(({ timeline }) => timeline <= this.timeline)?.lsn ?? this.first,
    );
    const lsn = startOf(this.position) - BigInt(segments) * size;
    this.#begin(this.timeline, lsn < earliest ? earliest : lsn);
  }

  /** Goes on where a new session would, from what the folder holds. */
  #resume(files: ReadonlyMap<string, Buffer>): void {
    const folder = mkdtempSync(join(scratch, "held-"));
    for (const [path, content] of files) {
      const copy = join(folder, path.slice(this.directory.length));
      mkdirSync(dirname(copy), { recursive: true });
      writeFileSync(copy, content.subarray(0, 8192));
      truncateSync(copy, content.length);
    }
    const { segments } = readHoldings(folder, mib);
    const state: ServerState = {
      systemIdentifier: ourSystem,
      timeline: this.serverTimeline,
      lsn: this.serverLsn,
      isStandby: false,
      history: this.server.forks.map(({ timeline, lsn }) => ({ timeline: timeline - 1, endLsn: lsn })),
      slotLsn: this.first,
    };
    const start = chooseStart(segments, this.last, state, mib);
    rmSync(folder, { recursive: true });
    // Everything on the server's way to the start is held as whole segments.
    for (let number = segmentOfLsn(this.first); number < segmentOfLsn(start.lsn); number++) {
      const whole = [...files].some(([path, content]) => {
        const [, timeline = ""] = new RegExp(`^${this.directory}/([0-9A-F]{8})[0-9A-F]{16}$`).exec(path) ?? [];
        const name = formatSegmentName({ timeline: Number.parseInt(timeline, 16), number }, mib);
        return path.endsWith(`/${name}`) && content.equals(this.server.segment(Number.parseInt(timeline, 16), number));
      });
      if (!whole) throw new Error(`Begins at ${formatLsn(start.lsn)} without segment ${number}`);
    }
    this.#begin(start.timeline, start.lsn);
  }
}

type Step =
  | { readonly kind: "receive"; readonly bytes: number }
  | { readonly kind: "flush" | "reconnect" | "kill" | "cut" }
  | { readonly kind: "fork"; readonly behind: number }
  | { readonly kind: "rewind"; readonly segments: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant("receive" as const), bytes: fc.integer({ min: 1, max: mib }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("receive" as const), bytes: fc.integer({ min: 1, max: 9000 }) }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("flush" as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("reconnect" as const, "kill" as const, "cut" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("rewind" as const), segments: fc.nat(3) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("fork" as const), behind: fc.oneof(fc.constant(0), fc.nat(2 * mib)) }),
  },
);

const fault = fc.record({
  at: fc.nat(60),
  after: fc.integer({ min: 1, max: 12 }),
  code: fc.constantFrom("ENOSPC", "EIO", "EROFS", "EDQUOT", "dead", "dead"),
  isPowerCut: fc.boolean(),
});

function run(machine: Machine, { kind, ...of }: Step, random: () => number): void {
  if (kind === "receive") machine.receive((of as { bytes: number }).bytes);
  else if (kind === "flush") machine.flush();
  else if (kind === "fork") machine.fork((of as { behind: number }).behind);
  else if (kind === "rewind") machine.rewind((of as { segments: number }).segments);
  else if (kind === "reconnect") machine.reconnect();
  else machine.end(random, kind === "cut");
}

test("whatever was flushed is there after a power cut at any system call, whatever came before it", () => {
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 3, maxLength: 40 }),
      fc.array(fault, { maxLength: 4 }),
      fc.boolean(),
      fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
      (steps, faults, zeros, dice) => {
        const machine = new Machine();
        machine.fillsWithZeros = zeros;
        const random = () => dice.next().value;
        for (const [index, one] of steps.entries()) {
          const due = faults.find(({ at }) => at === index);
          if (due) machine.break(due);
          try {
            run(machine, one, random);
          } catch (error) {
            if (!(error instanceof DiskError)) throw error;
            if (machine.isDead) {
              machine.end(random, due?.isPowerCut ?? true);
              continue;
            }
            // What a session does that broke: it tries to keep what came, and the next one begins anew.
            machine.settle();
            machine.reconnect();
          }
          machine.check();
        }
        machine.fault = undefined;
        machine.flush();
        machine.check(false);
        machine.files.close();
        expect(machine.disk.openCount).toBe(0);
        expect(machine.setAside).toEqual([]);
      },
    ),
    { numRuns: 50 },
  );
}, 120_000);

/** Two segments' ends, a flush within each, a new connection, a fork within a segment and a segment that comes twice. */
const course: readonly Step[] = [
  { kind: "receive", bytes: 5000 },
  { kind: "flush" },
  { kind: "receive", bytes: mib },
  { kind: "flush" },
  { kind: "reconnect" },
  { kind: "receive", bytes: mib + 9000 },
  { kind: "rewind", segments: 2 },
  { kind: "receive", bytes: 2 * mib + 40_000 },
  { kind: "flush" },
  { kind: "fork", behind: 10_000 },
  { kind: "receive", bytes: 60_000 },
  { kind: "flush" },
];

test.each([
  ["the process ends", "dead", false],
  ["the power is cut", "dead", true],
  ["the disk fails", "EIO", false],
  ["the disk is full", "ENOSPC", false],
] as const)(
  "where %s at any one of the system calls of a course, nothing that was flushed is lost",
  (_, code, isPowerCut) => {
    let calls = 1;
    for (let after = 1; after <= calls; after++) {
      let seed = after;
      const random = () => {
        seed = (seed * 1103515245 + 12345) % 2 ** 31;
        return seed / 2 ** 31;
      };
      const machine = new Machine();
      machine.break({ after, code });
      for (const one of course) {
        try {
          run(machine, one, random);
        } catch (error) {
          if (!(error instanceof DiskError)) throw error;
          if (machine.isDead) machine.end(random, isPowerCut);
          else {
            machine.settle();
            machine.reconnect();
          }
        }
        machine.check();
      }
      machine.fault = undefined;
      machine.receive(70_000);
      machine.flush();
      machine.check(false);
      expect(machine.setAside).toEqual([]);
      calls = Math.max(calls, machine.calls);
    }
    expect(calls).toBeGreaterThan(60);
  },
  120_000,
);
