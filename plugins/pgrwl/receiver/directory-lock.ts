/** One receiver a folder: two would write into the same files. */
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, statSync } from "node:fs";
import { nameThread, tryLock } from "../../common/system/libc.ts";

/** Locks a folder without leaving a file in it. The lock ends with {@link release}, or with this process. */
export class DirectoryLock {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** @throws {Error} Another receiver has it; the message names its process where the kernel tells it. */
  static take(directory: string): DirectoryLock {
    const { dev, ino } = statSync(directory, { bigint: true });
    const name = threadName(dev, ino);
    const fd = openSync(directory, "r");
    // Before the lock is there: who finds it taken, and no thread of this name, takes it for left behind.
    nameThread(name);
    if (!tryLock(fd)) {
      const holder = holderOf(ino);
      const others = threadNames().filter((one) => one === name).length - 1;
      // A worker that was ended by force leaves its descriptors behind: such a lock is ours, without a thread that uses it.
      if (holder !== process.pid || others > 0) {
        nameThread(idleName);
        closeSync(fd);
        const who = holder === undefined ? "another receiver" : `process ${holder}`;
        throw new Error(`Cannot receive into ${directory}: ${who} already does`);
      }
    }
    return new DirectoryLock(fd);
  }

  /** Whether the folder of this name is still the one that is locked: something may be mounted there since, or no more. */
  holds(directory: string): boolean {
    const [here, locked] = [
      statSync(directory, { bigint: true, throwIfNoEntry: false }),
      fstatSync(this.#fd, { bigint: true }),
    ];
    return here?.dev === locked.dev && here.ino === locked.ino;
  }

  release(): void {
    nameThread(idleName);
    closeSync(this.#fd);
  }
}

/** Of a thread without a folder. */
const idleName = "pgrwl";

/** Of at most 15 characters, the same for the same folder. */
function threadName(dev: bigint, ino: bigint): string {
  return `wal-${Bun.hash(`${dev}:${ino}`).toString(36).slice(0, 11)}`;
}

/** Names of all threads of this process. */
function threadNames(): string[] {
  try {
    return readdirSync("/proc/self/task").map((id) => readThreadName(id));
  } catch {
    return [];
  }
}

function readThreadName(id: string): string {
  try {
    return readFileSync(`/proc/self/task/${id}/comm`, "utf8").trim();
  } catch {
    // It has ended meanwhile.
    return "";
  }
}

/** The process that holds a `flock` on this inode. Source: proc(5), /proc/locks. */
function holderOf(inode: bigint): number | undefined {
  try {
    const line = readFileSync("/proc/locks", "utf8")
      .split("\n")
      .find((one) => /\bFLOCK\b/.test(one) && one.includes(`:${inode} `));
    const [, pid] = /\bFLOCK\s+\S+\s+\S+\s+(\d+)/.exec(line ?? "") ?? [];
    return pid === undefined ? undefined : Number(pid);
  } catch {
    return undefined;
  }
}
