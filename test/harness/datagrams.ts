/** A unix datagram socket that receives, such as the service manager's; Bun has none, so it is the C library's. */
import { dlopen } from "bun:ffi";
import { closeSync, rmSync } from "node:fs";
import { socketAddress } from "../../agent/system/notify.ts";

export interface DatagramReceiver extends Disposable {
  readonly path: string;
  /** All datagrams received so far, each as text. */
  received(): readonly string[];
}

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const MSG_DONTWAIT = 0x40;

/** @param path A file path, or `@name` for the abstract name space. */
export function receiveDatagrams(path: string): DatagramReceiver {
  const address = socketAddress(path);
  if (address === undefined) throw new Error(`Cannot listen on ${JSON.stringify(path)}: not a unix socket's address`);
  const library = dlopen("libc.so.6", {
    socket: { args: ["int", "int", "int"], returns: "int" },
    bind: { args: ["int", "ptr", "u32"], returns: "int" },
    recv: { args: ["int", "ptr", "u64", "int"], returns: "i64" },
  });
  const { socket, bind, recv } = library.symbols;
  const fd = socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
  if (fd < 0 || bind(fd, address, address.length) < 0) throw new Error(`Cannot bind a socket to ${path}`);
  const datagrams: string[] = [];
  const buffer = Buffer.alloc(65_536);
  return {
    path,
    received() {
      for (;;) {
        const length = Number(recv(fd, buffer, buffer.length, MSG_DONTWAIT));
        if (length < 0) return datagrams;
        datagrams.push(buffer.toString("utf8", 0, length));
      }
    },
    [Symbol.dispose]() {
      closeSync(fd);
      if (path.startsWith("/")) rmSync(path, { force: true });
    },
  };
}
