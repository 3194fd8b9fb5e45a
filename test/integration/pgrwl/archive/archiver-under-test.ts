/** An archiver on a folder, without a receiver: what it would be told, the test tells it. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { LogFields, LogLevel } from "../../../../agent/sdk/log.ts";
import { Archiver } from "../../../../plugins/pgrwl/archive/archiver.ts";
import type { Position } from "../../../../plugins/pgrwl/archive/partial-shipping.ts";
import { type ArchiveSectionInput, archiveSection } from "../../../../plugins/pgrwl/archive/settings.ts";
import type { Beginning } from "../../../../plugins/pgrwl/archive/start-gap.ts";
import type { Space } from "../../../../plugins/pgrwl/directory-space.ts";
import { createFolder } from "../../../harness/folders.ts";
import { waitFor } from "../../../harness/wait.ts";
import { mib, nameOf, segmentsIn, writeSegments } from "./places.ts";

export interface TestedArchiver extends AsyncDisposable {
  readonly archiver: Archiver;
  readonly directory: string;
  readonly lines: readonly (LogFields & { level: LogLevel; message: string })[];
  /** Where the receiver is; set it. */
  position: Position | undefined;
  /** Where it began. */
  beginning: Beginning | undefined;
  space: Space | undefined;
  /** Ms that the clock is ahead. */
  clockMs: number;
  run(): void;
  /** Writes segments, and tells of them. */
  complete(numbers: readonly number[], timeline?: number): Promise<void>;
  local(): Promise<string[]>;
  until(what: string, condition: (archiver: Archiver) => unknown): Promise<void>;
}

export async function startArchiver(section: ArchiveSectionInput, directory?: string): Promise<TestedArchiver> {
  await using cleanup = new AsyncDisposableStack();
  const folder = cleanup.use(await createFolder("holdfast-received"));
  const received = directory ?? join(folder.path, "wal");
  await mkdir(received, { recursive: true });
  const lines: (LogFields & { level: LogLevel; message: string })[] = [];
  const write = (level: LogLevel) => (message: string, fields?: LogFields) =>
    void lines.push({ ...fields, level, message });
  const archiver = new Archiver({
    section: archiveSection.parse(section),
    directory: received,
    firstBackOffMs: 20,
    longestBackOffMs: 200,
    environment: {},
    log: { error: write("error"), warn: write("warn"), info: write("info"), debug: write("debug") },
    now: () => Date.now() + tested.clockMs,
    position: () => tested.position,
    beginning: () => tested.beginning,
    space: async () => tested.space,
    onChange: () => {},
  });
  cleanup.defer(() => archiver.stop());
  const owned = cleanup.move();
  const tested: TestedArchiver = {
    archiver,
    directory: received,
    lines,
    position: { timeline: 1, flushed: 0x10_0000n, segmentSizeBytes: mib },
    beginning: undefined,
    space: undefined,
    clockMs: 0,
    run: () => void archiver.run(new AbortController().signal),
    async complete(numbers, timeline = 1) {
      await writeSegments(received, numbers, timeline);
      for (const number of numbers) archiver.notice(nameOf(number, timeline));
    },
    local: () => segmentsIn(received),
    until: async (what, condition) => {
      await waitFor(what, () => condition(archiver), 60_000).catch((cause) => {
        throw new Error(
          `${what}\n${lines
            .slice(-8)
            .map((line) => JSON.stringify(line))
            .join("\n")}`,
          { cause },
        );
      });
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
  return tested;
}

export const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, at) => from + at);
export const uploaded = (archiver: Archiver): number =>
  (archiver.uploader?.telemetry.stored ?? 0) + (archiver.uploader?.telemetry.present ?? 0);
