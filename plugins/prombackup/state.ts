/** What outlives a restart: the outcomes of downloads and verifications, and when things last went well. A hint, no more. */
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Log, z } from "holdfast";

const finished = z.object({ success: z.boolean(), errorText: z.string().nullable(), sha256Hex: z.string() });
const download = z.object({
  id: z.string(),
  snapshotName: z.string(),
  format: z.string(),
  startedAt: z.number(),
  endedAt: z.number().optional(),
  finished: finished.optional(),
});
const verification = z.object({
  /** The state of the files that were verified: another one is another snapshot. */
  state: z.string(),
  at: z.number(),
  ok: z.boolean(),
  problems: z.array(z.string()),
});

const shape = z.object({
  version: z.literal(1),
  downloads: z.array(download).default([]),
  verifications: z.record(z.string(), verification).default({}),
  times: z.record(z.string(), z.number()).default({}),
  /** Snapshots of the schedule that are still there: a target did not take them, or somebody reads them. */
  leftBehind: z.array(z.string()).default([]),
});

export type SavedDownload = z.output<typeof download>;
export type Verification = z.output<typeof verification>;
export type SavedState = z.output<typeof shape>;

/** The moments that are kept, Unix milliseconds. */
export type Moment =
  | "snapshotAttempt"
  | "snapshotSuccess"
  | "verificationSuccess"
  | `uploadSuccess:${string}`
  | `uploadAttempt:${string}`
  | `uploadFailure:${string}`;

export class State {
  readonly #folder: string;
  readonly #file: string;
  readonly #log: Log;
  readonly value: SavedState;
  #saving: Promise<void> | undefined;
  #again = false;

  private constructor(folder: string, file: string, log: Log, value: SavedState) {
    this.#folder = folder;
    this.#file = file;
    this.#log = log;
    this.value = value;
  }

  /** Reads what there is; what cannot be read is as nothing, and is said. */
  static async open(folder: string, instance: string, log: Log): Promise<State> {
    const file = join(folder, `${instance}.json`);
    let value: SavedState = shape.parse({ version: 1 });
    try {
      value = shape.parse(JSON.parse(await readFile(file, "utf8")));
    } catch (error) {
      if ((error as { code?: string }).code !== "ENOENT") {
        log.warn("Cannot read the saved state, beginning anew", { file, error: messageOf(error) });
      }
    }
    return new State(folder, file, log, value);
  }

  time(moment: Moment): number | undefined {
    return this.value.times[moment];
  }
  mark(moment: Moment, at: number): void {
    this.value.times[moment] = at;
    this.save();
  }

  /** Saves soon. Never throws: that nothing can be saved is logged. */
  save(): void {
    if (this.#saving) this.#again = true;
    else {
      this.#saving = this.#write().finally(() => {
        this.#saving = undefined;
        if (this.#again) {
          this.#again = false;
          this.save();
        }
      });
    }
  }

  /** Waits until all is saved. */
  async settled(): Promise<void> {
    while (this.#saving) await this.#saving;
  }

  async #write(): Promise<void> {
    const unfinished = `${this.#file}.${Bun.randomUUIDv7()}.unfinished`;
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o755 });
      await writeDurably(unfinished, JSON.stringify(this.value));
      await rename(unfinished, this.#file);
    } catch (error) {
      await rm(unfinished, { force: true }).catch(() => {});
      this.#log.warn("Cannot save the state", { file: this.#file, error: messageOf(error) });
    }
  }
}

/** Writes a file and syncs it. */
export async function writeDurably(path: string, content: string | Uint8Array): Promise<void> {
  const handle = await open(path, "wx", 0o644);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
