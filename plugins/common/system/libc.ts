/** The few calls to the C library that files need and the runtime has no function for. */
import { dlopen, type FFIFunction } from "bun:ffi";

const libraryNames = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1", "libSystem.B.dylib"];

function open<Functions extends Record<string, FFIFunction>>(functions: Functions) {
  for (const name of libraryNames) {
    try {
      return dlopen(name, functions).symbols;
    } catch {
      // The next name; without any, callers do without the call.
    }
  }
  return undefined;
}

const LOCK_EX_NB = 2 | 4;
const PR_SET_NAME = 15;
const SYNC_FILE_RANGE_WRITE = 2;
/** Error numbers of Linux. */
const ENOSPC = 28;
const EFBIG = 27;
const EDQUOT = 122;
const EIO = 5;
const EINTR = 4;

const lockCalls = () => open({ flock: { args: ["int", "int"], returns: "int" } });
const allocateCalls = () => open({ posix_fallocate: { args: ["int", "i64", "i64"], returns: "int" } });
const nameCalls = () => open({ prctl: { args: ["int", "cstring", "u64", "u64", "u64"], returns: "int" } });

const writeBackCalls = () => open({ sync_file_range: { args: ["int", "i64", "i64", "u32"], returns: "int" } });

const pollCalls = () => open({ poll: { args: ["ptr", "u64", "int"], returns: "int" } });

const priorityCalls = () =>
  open({
    setpriority: { args: ["int", "u32", "int"], returns: "int" },
    syscall: { args: ["i64", "i64", "i64", "i64"], returns: "i64" },
  });

let priorities: ReturnType<typeof priorityCalls>;
let polls: ReturnType<typeof pollCalls>;
let writeBacks: ReturnType<typeof writeBackCalls>;
let locks: ReturnType<typeof lockCalls>;
let allocations: ReturnType<typeof allocateCalls>;

/** Takes the exclusive lock of an open file or folder. @returns False: another open description has it, or it has none. */
export function tryLock(fd: number): boolean {
  locks ??= lockCalls();
  return locks === undefined || locks.flock(fd, LOCK_EX_NB) === 0;
}

/**
 * Reserves disk space for the whole of a file, which reads as zeros where nothing was written.
 * @returns The code of the error that a full or broken disk gives, `"unsupported"` where there is no such call.
 */
export function allocate(
  fd: number,
  sizeBytes: number,
): "ENOSPC" | "EDQUOT" | "EFBIG" | "EIO" | "unsupported" | undefined {
  allocations ??= allocateCalls();
  if (allocations === undefined) return "unsupported";
  let result: number;
  do result = allocations.posix_fallocate(fd, 0, sizeBytes);
  while (result === EINTR);
  if (result === 0) return undefined;
  const codes: Readonly<Record<number, "ENOSPC" | "EDQUOT" | "EFBIG" | "EIO">> = {
    [ENOSPC]: "ENOSPC",
    [EDQUOT]: "EDQUOT",
    [EFBIG]: "EFBIG",
    [EIO]: "EIO",
  };
  return codes[result] ?? "unsupported";
}

/** Room for one `struct pollfd`: a descriptor, and two short numbers for what is asked and answered. */
const pollRequest = new Int32Array(2);
const POLLIN = 1;

/** Whether a socket has something to read now; undefined where that cannot be asked. */
export function isReadable(fd: number): boolean | undefined {
  if (process.platform !== "linux") return undefined;
  polls ??= pollCalls();
  if (polls === undefined) return undefined;
  pollRequest[0] = fd;
  pollRequest[1] = POLLIN;
  const count = polls.poll(pollRequest, 1, 0);
  return count < 0 ? undefined : count > 0;
}

/**
 * Lets the disk begin to write a part of a file, so that a sync later on has less to wait for. Promises nothing; where
 * there is no such call, does nothing.
 */
export function beginWriting(fd: number, offset: number, sizeBytes: number): void {
  if (process.platform !== "linux") return;
  writeBacks ??= writeBackCalls();
  writeBacks?.sync_file_range(fd, offset, sizeBytes, SYNC_FILE_RANGE_WRITE);
}

/** Names the calling thread, as `top -H` and /proc/self/task/TID/comm show it; at most 15 characters. Linux only. */
export function nameThread(name: string): void {
  if (process.platform === "linux") nameCalls()?.prctl(PR_SET_NAME, Buffer.from(`${name}\0`) as never, 0, 0, 0);
}

const PRIO_PROCESS = 0;
const IOPRIO_WHO_PROCESS = 1;
/** Best effort, the lowest level. Not idle: the journal of a commit may wait for what such a thread has written. */
const IOPRIO_LOWEST = (2 << 13) | 7;
const ioprioSet: Readonly<Record<string, number>> = { x64: 251, arm64: 30 };

/** Lets a thread of this process have what others leave of the disks, and most of what they leave of the processors. Promises nothing. Linux only. */
export function lowerPriority(threadId: number, nice: number): void {
  const number = ioprioSet[process.arch];
  if (process.platform !== "linux" || number === undefined) return;
  priorities ??= priorityCalls();
  priorities?.setpriority(PRIO_PROCESS, threadId, nice);
  priorities?.syscall(number, IOPRIO_WHO_PROCESS, threadId, IOPRIO_LOWEST);
}
