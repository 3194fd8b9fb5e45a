/** Tells the service manager how the agent is doing. Source: sd_notify(3), systemd.service(5). */
import { dlopen } from "bun:ffi";
import { monotonicMicroseconds, openLibc } from "./libc.ts";

export interface ServiceManager {
  /** The first configuration runs, or a reload is over. */
  ready(status?: string): void;
  /** A reload begins; `ready` ends it. */
  reloading(): void;
  /** One line for `systemctl status`. */
  status(text: string): void;
  /** The agent is ending; no watchdog messages follow. */
  stopping(status?: string): void;
  /** Begins the watchdog messages, when the service manager wants any. The timer holds no process open. */
  startWatchdog(): void;
}

/** Sends one datagram of `NAME=value` lines. @returns Whether it went out. */
export type Send = (state: string) => boolean;

/** Variables by which a service manager addresses this process alone. */
const serviceVariables = [
  "NOTIFY_SOCKET",
  "WATCHDOG_USEC",
  "WATCHDOG_PID",
  "LISTEN_FDS",
  "LISTEN_PID",
  "LISTEN_FDNAMES",
] as const;

/** A copy of the environment without the variables that are meant for this process and no child of it. */
export function childEnvironment(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const copy = { ...env };
  for (const name of serviceVariables) delete copy[name];
  return copy;
}

/**
 * The service manager that started this process, or one that hears nothing when there is none.
 * Without `NOTIFY_SOCKET` no library is loaded.
 */
export function connectServiceManager(
  env: Readonly<Record<string, string | undefined>> = process.env,
  connect: (path: string) => Send | undefined = (path) => connectSystemd() ?? connectSocket(path),
): ServiceManager {
  const { NOTIFY_SOCKET: path, WATCHDOG_USEC: watchdog, WATCHDOG_PID: watched } = env;
  const send = path ? connect(path) : undefined;
  if (send === undefined) return nobody;
  const isWatched = watchdog !== undefined && (watched === undefined || watched === String(process.pid));
  const watchdogMs = isWatched ? Number(watchdog) / 1_000 : Number.NaN;
  let timer: Timer | undefined;
  const withStatus = (state: string, status?: string) =>
    send(status === undefined ? state : `${state}\n${statusLine(status)}`);
  return {
    ready: (status) => void withStatus("READY=1", status),
    reloading: () => void send(`RELOADING=1\nMONOTONIC_USEC=${monotonicMicroseconds()}`),
    status: (text) => void send(statusLine(text)),
    stopping: (status) => {
      clearInterval(timer);
      withStatus("STOPPING=1", status);
    },
    startWatchdog: () => {
      if (!(watchdogMs > 0) || timer !== undefined) return;
      send("WATCHDOG=1");
      timer = setInterval(() => send("WATCHDOG=1"), watchdogMs / 2);
      timer.unref();
    },
  };
}

const nobody: ServiceManager = { ready() {}, reloading() {}, status() {}, stopping() {}, startWatchdog() {} };

function statusLine(text: string): string {
  return `STATUS=${text.replace(/[\r\n]+/g, " ")}`;
}

/** Through libsystemd, which finds the socket by itself; undefined where that library is missing. */
export function connectSystemd(): Send | undefined {
  try {
    const { sd_notify } = dlopen("libsystemd.so.0", {
      sd_notify: { args: ["int", "cstring"], returns: "int" },
    }).symbols;
    return (state) => sd_notify(0, cString(state)) > 0;
  } catch {
    return undefined;
  }
}

/**
 * Through the C library: a datagram to the unix socket at `path`, or in the abstract name space where it begins with `@`.
 * Undefined where the C library or the socket cannot be had, or the path is of another kind.
 */
export function connectSocket(path: string): Send | undefined {
  const address = socketAddress(path);
  if (address === undefined) return undefined;
  try {
    const { socket, sendto } = openLibc({
      socket: { args: ["int", "int", "int"], returns: "int" },
      sendto: { args: ["int", "ptr", "u64", "int", "ptr", "u32"], returns: "i64" },
    });
    const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return undefined;
    return (state) => {
      const bytes = Buffer.from(state);
      return Number(sendto(fd, bytes, bytes.length, MSG_NOSIGNAL, address, address.length)) === bytes.length;
    };
  } catch {
    return undefined;
  }
}

/** Linux's numbers; service managers that speak this protocol run nowhere else. */
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;
const longestPathBytes = 107;

/** `struct sockaddr_un`: the family as a native 16-bit number, then the path; a leading `@` stands for a zero byte. */
export function socketAddress(path: string): Uint8Array | undefined {
  if (!/^[/@]./.test(path) || Buffer.byteLength(path) > longestPathBytes) return undefined;
  const family = new Uint8Array(new Uint16Array([AF_UNIX]).buffer);
  // An abstract name is as long as it is; a path ends at its zero byte.
  const name = path.startsWith("@") ? Buffer.from(`\0${path.slice(1)}`) : cString(path);
  return Buffer.concat([family, name]);
}

function cString(text: string): Buffer {
  return Buffer.from(`${text}\0`);
}
