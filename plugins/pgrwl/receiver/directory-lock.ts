/** One receiver a folder: two would write into the same files. */
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
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
      const holders = holdersOf(ino);
      const isOurs = holders.includes(process.pid) && isOpenTwice(fd);
      const others = threadNames().filter((one) => one === name).length - 1;
      // A worker that was ended by force leaves its descriptors behind: such a lock is ours, without a thread that uses it.
      if (!isOurs || others > 0) {
        nameThread(idleName);
        closeSync(fd);
        const holder = isOurs ? process.pid : holders.find((pid) => pid !== process.pid);
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

/** Processes that hold a `flock` on an inode of this number; it may be on another disk. Source: proc(5), /proc/locks. */
function holdersOf(inode: bigint): number[] {
  try {
    const lines = readFileSync("/proc/locks", "utf8").split("\n");
    return lines.flatMap((line) => {
      const [, pid, number] = /\bFLOCK\s+\S+\s+\S+\s+(\d+)\s+\S+:(\d+)\s/.exec(line) ?? [];
      return number === String(inode) ? [Number(pid)] : [];
    });
  } catch {
    return [];
  }
}

/** Whether this process has another descriptor of a folder. Those of other paths are not touched: their disk may hang. */
function isOpenTwice(fd: number): boolean {
  const { dev, ino } = fstatSync(fd, { bigint: true });
  const isSame = (other: number) => {
    try {
      if (other === fd || readlinkSync(pathOf(other)) !== readlinkSync(pathOf(fd))) return false;
      const found = fstatSync(other, { bigint: true });
      return found.dev === dev && found.ino === ino;
    } catch {
      // It was closed meanwhile.
      return false;
    }
  };
  return readdirSync("/proc/self/fd").some((name) => isSame(Number(name)));
}

const pathOf = (fd: number) => `/proc/self/fd/${fd}`;
