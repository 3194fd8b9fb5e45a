/**
 * A client's TCP connection, written to beside the server that accepted it: a file goes from the page cache to the socket without
 * passing through this process. Source: sendfile(2). Linux only.
 */
import { dlopen, FFIType, read } from "bun:ffi";
import { closeSync, existsSync, readdirSync } from "node:fs";

/** Both ends, as node:net tells them: no two connections have the same. */
export interface Ends {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
}

/** What a call failed with: the client has gone, or the file could not be read. */
export class SendError extends Error {
  override readonly name = "SendError";
  readonly code: string;
  readonly isClient: boolean;
  /** The file system cannot send, but it may let files be read. */
  readonly isUnsupported: boolean;

  constructor(number: number) {
    const code = codes[number] ?? `errno ${number}`;
    super(code);
    this.code = code;
    this.isClient = clientCodes.has(code);
    this.isUnsupported = unsupportedCodes.has(code);
  }
}

/** Error numbers of Linux. */
const codes: Readonly<Record<number, string>> = {
  1: "EPERM",
  5: "EIO",
  9: "EBADF",
  12: "ENOMEM",
  22: "EINVAL",
  32: "EPIPE",
  38: "ENOSYS",
  95: "EOPNOTSUPP",
  100: "ENETDOWN",
  101: "ENETUNREACH",
  103: "ECONNABORTED",
  104: "ECONNRESET",
  107: "ENOTCONN",
  110: "ETIMEDOUT",
  113: "EHOSTUNREACH",
};
const clientCodes: ReadonlySet<string> = new Set([
  ...["EPIPE", "ECONNRESET", "ECONNABORTED", "ENOTCONN", "ETIMEDOUT"],
  ...["EHOSTUNREACH", "ENETDOWN", "ENETUNREACH"],
]);
const unsupportedCodes: ReadonlySet<string> = new Set(["EINVAL", "ENOSYS", "EOPNOTSUPP", "EPERM"]);
const ownDescriptors = "/proc/self/fd";
const EAGAIN = 11;
const EINTR = 4;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const F_DUPFD_CLOEXEC = 1030;
const SHUT_RDWR = 2;
const POLLOUT = 4;

type Calls = ReturnType<typeof openCalls>;
let opened: { readonly calls: Calls | undefined } | undefined;

function openCalls() {
  const functions = {
    getpeername: { args: ["int", "ptr", "ptr"], returns: "int" },
    getsockname: { args: ["int", "ptr", "ptr"], returns: "int" },
    fcntl: { args: ["int", "int", "int"], returns: "int" },
    send: { args: ["int", "ptr", "u64", "int"], returns: FFIType.i64_fast },
    sendfile: { args: ["int", "int", "ptr", "u64"], returns: FFIType.i64_fast },
    shutdown: { args: ["int", "int"], returns: "int" },
    poll: { args: ["ptr", "u64", "int"], returns: "int" },
    __errno_location: { args: [], returns: "ptr" },
  } as const;
  for (const name of ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"]) {
    try {
      return dlopen(name, functions).symbols;
    } catch {
      // The next name.
    }
  }
  return undefined;
}

function libc(): Calls | undefined {
  opened ??= { calls: process.platform === "linux" ? openCalls() : undefined };
  return opened.calls;
}

/** Whether this machine has the calls, and tells the descriptors of this process. */
export const canSend = (): boolean => libc() !== undefined && existsSync(ownDescriptors);

/** A descriptor of its own for a connection of this process; the connection lives as long as one of its descriptors. */
export class ClientSocket implements Disposable {
  readonly #calls: NonNullable<Calls>;
  readonly #fd: number;
  readonly #position = new BigInt64Array(1);
  /** Room for one `struct pollfd`: a descriptor, and two short numbers for what is asked and answered. */
  readonly #poll: Int32Array;

  private constructor(calls: NonNullable<Calls>, fd: number) {
    this.#calls = calls;
    this.#fd = fd;
    this.#poll = new Int32Array([fd, POLLOUT]);
  }

  /** @returns Undefined: there is no such connection any more. @throws {Error} No descriptor is left. */
  static find(ends: Ends): ClientSocket | undefined {
    const calls = libc();
    if (calls === undefined) return undefined;
    const wanted = keyOf(ends);
    for (const name of readdirSync(ownDescriptors)) {
      if (keyAt(calls, Number(name)) !== wanted) continue;
      const fd = calls.fcntl(Number(name), F_DUPFD_CLOEXEC, 0);
      // The number may have been given to another file meanwhile; this one stays ours.
      if (fd >= 0 && keyAt(calls, fd) === wanted) return new ClientSocket(calls, fd);
      if (fd >= 0) closeSync(fd);
      else if (keyAt(calls, Number(name)) === wanted)
        throw new Error("Cannot copy a descriptor: too many files are open");
    }
    return undefined;
  }

  /** @returns How many bytes the system has taken; 0: it has no room now. @throws {SendError} */
  write(bytes: Uint8Array): number {
    return this.#sent(Number(this.#calls.send(this.#fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL)));
  }

  /**
   * @param fd A file's.
   * @returns How many bytes the system has taken; 0: it has no room now, undefined: the file ends at `position`.
   * @throws {SendError}
   */
  sendFile(fd: number, position: number, sizeBytes: number): number | undefined {
    this.#position[0] = BigInt(position);
    const count = Number(this.#calls.sendfile(this.#fd, fd, this.#position, sizeBytes));
    return count === 0 ? undefined : this.#sent(count);
  }

  #sent(count: number): number {
    if (count >= 0) return count;
    const at = this.#calls.__errno_location();
    const number = at === null ? 0 : read.i32(at);
    if (number === EAGAIN || number === EINTR) return 0;
    throw new SendError(number);
  }

  /** Whether there is room now, or an error to be seen. */
  hasRoom(): boolean {
    this.#poll[1] = POLLOUT;
    return this.#calls.poll(this.#poll, 1, 0) !== 0;
  }

  /** Ends the connection, whoever else has a descriptor of it: the client sees that nothing more comes. */
  cut(): void {
    this.#calls.shutdown(this.#fd, SHUT_RDWR);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

const keyOf = ({ remoteAddress, remotePort, localAddress, localPort }: Ends): string =>
  `${normal(remoteAddress)} ${remotePort} ${normal(localAddress)} ${localPort}`;

/** Undefined: it is no connected socket of IP. */
function keyAt(calls: NonNullable<Calls>, fd: number): string | undefined {
  const remote = nameBy(calls.getpeername, fd);
  const local = remote && nameBy(calls.getsockname, fd);
  return local && `${remote} ${local}`;
}

const AF_INET = 2;
const AF_INET6 = 10;
const longestName = 128;

function nameBy(call: NonNullable<Calls>["getpeername"], fd: number): string | undefined {
  const bytes = new Uint8Array(longestName);
  if (call(fd, bytes, new Uint32Array([longestName])) !== 0) return undefined;
  const name = new DataView(bytes.buffer);
  const family = name.getUint16(0, true);
  const port = name.getUint16(2);
  if (family === AF_INET) return `${normal(bytes.subarray(4, 8).join("."))} ${port}`;
  if (family !== AF_INET6) return undefined;
  const groups = Array.from({ length: 8 }, (_, at) => name.getUint16(8 + 2 * at).toString(16));
  return `${normal(groups.join(":"))} ${port}`;
}

/** An address as IPv6 writes it at its shortest; an IPv4 one is mapped, as dual-stack sockets tell it. */
function normal(address: string): string {
  const [plain = ""] = address.split("%", 1);
  const url = `http://[${plain.includes(":") ? plain : `::ffff:${plain}`}]/`;
  return URL.canParse(url) ? new URL(url).hostname : address;
}
