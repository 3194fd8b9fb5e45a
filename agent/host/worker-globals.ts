/** Keeps a plugin from what belongs to the whole process: its output, its exit, its folder. */
import { Console } from "node:console";
import { Writable } from "node:stream";
import { toFailure } from "./failures.ts";
import type { FromWorker } from "./protocol.ts";

/** Output goes to the log, stray errors and `process.exit` end this worker alone. */
export function containPlugin(post: (message: FromWorker) => void): void {
  const print = (stream: string) => (text: string) => {
    const output = text.replace(/\n$/, "");
    if (output) post({ kind: "log", level: "info", message: "Output of the plugin", fields: { stream, output } });
  };
  const out = print("stdout");
  const err = print("stderr");
  const writer =
    (write: (text: string) => void) =>
    (chunk: string | Uint8Array, ...rest: unknown[]): boolean => {
      write(typeof chunk === "string" ? chunk : new TextDecoder().decode(chunk));
      const done = rest.at(-1);
      if (typeof done === "function") done();
      return true;
    };
  process.stdout.write = writer(out) as typeof process.stdout.write;
  process.stderr.write = writer(err) as typeof process.stderr.write;
  const output = (write: (text: string) => void) =>
    new Writable({
      decodeStrings: false,
      write: (chunk: string, _, done) => {
        write(chunk);
        done();
      },
    });
  Object.assign(console, new Console({ stdout: output(out), stderr: output(err), colorMode: false }));

  const broken = (error: unknown) => post({ kind: "broken", failure: toFailure(error) });
  process.on("uncaughtException", broken);
  process.on("unhandledRejection", broken);
  const refuse = (what: string) => (): never => {
    throw new Error(`A plugin cannot call ${what}: it would change the whole agent`);
  };
  process.chdir = refuse("process.chdir()");
  process.abort = refuse("process.abort()");
}
