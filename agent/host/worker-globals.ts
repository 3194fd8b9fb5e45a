/** Keeps a plugin from what belongs to the whole process: its output, its exit, its folder. */
import type { Console } from "node:console";
import type { Writable } from "node:stream";
import { toFailure } from "./failures.ts";
import type { FromWorker } from "./protocol.ts";

type Post = (message: FromWorker) => void;

/** Output goes to the log, stray errors and `process.exit` end this worker alone. */
export function containPlugin(post: Post): void {
  replaceConsole(replaceStream("stdout", post), replaceStream("stderr", post));
  const broken = (error: unknown) => post({ kind: "broken", failure: toFailure(error) });
  process.on("uncaughtException", broken);
  process.on("unhandledRejection", broken);
  const refuse = (what: string) => (): never => {
    throw new Error(`A plugin cannot call ${what}: it would change the whole agent`);
  };
  process.chdir = refuse("process.chdir()");
  process.abort = refuse("process.abort()");
  globalThis.postMessage = refuse("postMessage()");
  for (const name of ofTheProcess) Object.assign(process, { [name]: refuse(`process.${name}()`) });
  const { umask } = process;
  process.umask = ((mask?: string | number) =>
    mask === undefined ? umask() : refuse("process.umask(mask)")()) as typeof umask;
}

const ofTheProcess = ["setuid", "seteuid", "setgid", "setegid", "setgroups", "initgroups"] as const;

/** Streams and the console are made when a plugin first prints: few do, and they cost each worker 2 MB. */
function replaceStream(name: "stdout" | "stderr", post: Post): () => Writable {
  let stream: Writable | undefined;
  const get = () => {
    stream ??= new (process.getBuiltinModule("node:stream").Writable)({
      decodeStrings: false,
      write(chunk: string | Uint8Array, _, done) {
        const text = typeof chunk === "string" ? chunk : new TextDecoder().decode(chunk);
        const output = text.replace(/\n$/, "");
        const fields = { stream: name, output };
        if (output) post({ kind: "log", level: "info", message: "Output of the plugin", fields });
        done();
      },
    });
    return stream;
  };
  Object.defineProperty(process, name, { configurable: true, get });
  return get;
}

function replaceConsole(stdout: () => Writable, stderr: () => Writable): void {
  type Methods = Record<string, (...values: unknown[]) => unknown>;
  let made: Console | undefined;
  const methods = console as unknown as Methods;
  for (const name of Object.keys(methods)) {
    if (typeof methods[name] !== "function" || name === "Console") continue;
    methods[name] = (...values) => {
      made ??= new (process.getBuiltinModule("node:console").Console)({
        stdout: stdout(),
        stderr: stderr(),
        colorMode: false,
      });
      return (made as unknown as Methods)[name]?.(...values);
    };
  }
}
