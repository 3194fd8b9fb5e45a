/** An executable that stands in for wal-g: it replays documents and misbehaves on demand. */
import { existsSync } from "node:fs";
import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const script = new URL("walg-stand-in.sh", import.meta.url).pathname;

export type StandInCommand =
  | "backup-list"
  | "backup-list-short"
  | "wal-show"
  | "wal-show-without-backups"
  | "wal-verify-integrity-timeline"
  | "st-check-read"
  | "st-check-write"
  | "st-ls"
  | "st-ls-wal_005"
  | `st-stat-wal_005-${string}`
  | "version";

export interface Reply {
  readonly stdout?: string | Uint8Array;
  readonly stderr?: string;
  readonly status?: number;
  /** `hang` waits for ever, `stubborn` ignores SIGTERM and has a child that holds stdout, `holder` leaves such a child behind. */
  readonly behaviour?: "hang" | "stubborn" | "holder";
}

export class StandIn {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** A stand-in that knows F1: the storage of the specification's examples. */
  static async create(): Promise<StandIn> {
    const standIn = new StandIn(await mkdtemp(join(tmpdir(), "walg-")));
    // A copy: the users as which it is run may not be allowed to enter the folder of this repository.
    await copyFile(script, standIn.executable);
    await standIn.reply("backup-list", { stdout: await fixture("f1/backup-list.json") });
    await standIn.reply("wal-show", { stdout: await fixture("f1/wal-show.json") });
    await standIn.reply("wal-verify-integrity-timeline", { stdout: await fixture("f1/wal-verify.json") });
    await standIn.reply("version", { stdout: "wal-g version v3.0.8\tf5e3ba5\t2026.01.20_10:11:12\tPostgreSQL\n" });
    return standIn;
  }

  get executable(): string {
    return join(this.folder, "wal-g");
  }

  /** The plugin's configuration that uses it. */
  config(more: Record<string, unknown> = {}): Record<string, unknown> {
    const { environment = {}, ...rest } = more as { environment?: Record<string, string> };
    return {
      path: this.executable,
      postgres: false,
      wal_times: { enabled: false },
      ...rest,
      environment: { WALG_STAND_IN: this.folder, ...environment },
    };
  }

  async reply(command: StandInCommand, { stdout, stderr, status = 0, behaviour }: Reply): Promise<void> {
    const files = { stdout, stderr, status: String(status), behaviour };
    for (const [kind, text] of Object.entries(files)) {
      const file = join(this.folder, `${command}.${kind}`);
      if (text === undefined) await rm(file, { force: true });
      else await writeFile(file, text);
    }
  }

  /** The command lines so far, each with its name in front. */
  async calls(): Promise<string[]> {
    return lines(join(this.folder, "calls"));
  }

  /** Process ids of those that hang. */
  async processes(): Promise<number[]> {
    return (await lines(join(this.folder, "processes"))).flatMap((line) => line.split(" ").map(Number));
  }

  async recordEnvironment(): Promise<void> {
    await writeFile(join(this.folder, "record-environment"), "");
  }

  async environment(): Promise<string[]> {
    return lines(join(this.folder, "environment"));
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function lines(file: string): Promise<string[]> {
  return existsSync(file) ? (await readFile(file, "utf8")).trim().split("\n") : [];
}

/** The text of a file under test/fixtures/walg. */
export function fixture(path: string): Promise<string> {
  return Bun.file(new URL(`../fixtures/walg/${path}`, import.meta.url)).text();
}

/** Whether a process is there; a zombie is not. */
export async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return stat !== "" && !/^\d+ \(.*\) [ZX]/s.test(stat);
}
