/** The few calls to the C library that Bun has no function for. Each loads it when first called. */
import { dlopen, type FFIFunction } from "bun:ffi";
import { writeSync } from "node:fs";

const libraryNames = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1", "libSystem.B.dylib"];

/** Opens the C library of this machine: glibc's, musl's or macOS's. @throws {Error} None of them is there. */
export function openLibc<Functions extends Record<string, FFIFunction>>(functions: Functions) {
  const causes: unknown[] = [];
  for (const name of libraryNames) {
    try {
      return dlopen(name, functions).symbols;
    } catch (error) {
      causes.push(error);
    }
  }
  const cause = new AggregateError(causes);
  throw new Error(`Cannot open the C library: none of ${libraryNames.join(", ")} could be loaded`, { cause });
}

function once<Value>(make: () => Value): () => Value {
  let made: { value: Value } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

const processCalls = once(() =>
  openLibc({
    waitpid: { args: ["int", "ptr", "int"], returns: "int" },
    dup: { args: ["int"], returns: "int" },
    dup2: { args: ["int", "int"], returns: "int" },
  }),
);

const clockCalls = once(() => openLibc({ clock_gettime: { args: ["int", "ptr"], returns: "int" } }));

const WNOHANG = 1;

/**
 * Takes the exit status of a child that has ended, so that it does not stay a zombie. Never waits.
 * For children of a worker that was ended: nobody else waits for them. @returns Whether there is nothing left to take.
 */
export function reap(pid: number): boolean {
  try {
    // -1: not (or no longer) our child.
    return processCalls().waitpid(pid, null, WNOHANG) !== 0;
  } catch {
    // No C library can be called here; a zombie harms nobody but the process table.
    return true;
  }
}

/**
 * Lets everything that is written to stdout go to stderr from now on, so that a plugin's `console.log` cannot spoil output.
 * To be called before anything has used `process.stdout`: Bun's stream keeps a copy of the descriptor that it finds then.
 * @returns A function that writes to the real stdout. @throws {Error} The descriptor cannot be copied.
 */
export function divertStdout(): (text: string) => void {
  const { dup, dup2 } = processCalls();
  const saved = dup(1);
  if (saved < 0 || dup2(2, 1) < 0) throw new Error("Cannot divert stdout: dup failed; is it closed?");
  return (text) => writeWhole(saved, Buffer.from(text));
}

/** How long a reader that is slower than we are gets before it is asked again. */
const retryMs = 5;

/**
 * Writes all of it, however long the reader takes.
 * @param write Writes what it can and tells how much; `EAGAIN`: nothing now, for the other end may have made the pipe
 *   that both share non-blocking.
 * @throws {Error} The other end is closed, or the disk is full.
 */
export function writeWhole(
  fd: number,
  bytes: Uint8Array,
  write = writeSync as (fd: number, bytes: Uint8Array) => number,
) {
  for (let rest = bytes; rest.length > 0; ) {
    try {
      rest = rest.subarray(write(fd, rest));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "EAGAIN") throw new Error("Cannot write the output", { cause: error });
      Bun.sleepSync(retryMs);
    }
  }
}

const clockMonotonic = process.platform === "darwin" ? 6 : 1;

/** CLOCK_MONOTONIC in microseconds. `process.hrtime()` will not do: in Bun it counts from the start of the process. */
export function monotonicMicroseconds(): bigint {
  const time = new BigInt64Array(2);
  clockCalls().clock_gettime(clockMonotonic, time);
  const [seconds = 0n, nanoseconds = 0n] = time;
  return seconds * 1_000_000n + nanoseconds / 1_000n;
}
