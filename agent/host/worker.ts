/** The worker of one instance: loads its plugin, sets it up and collects when told. Nothing of it outlives the worker. */
import "./worker-modules.ts";
import type { LogLevel } from "../sdk/log.ts";
import { LogLimit } from "./log-limit.ts";
import type { FromWorker, ToWorker } from "./protocol.ts";
import { Runner } from "./runner.ts";
import { containPlugin } from "./worker-globals.ts";

declare const self: { onmessage: ((event: MessageEvent<ToWorker>) => void) | null };

// Taken now: the plugin shares the global object.
const { postMessage } = globalThis;
const send = (message: FromWorker, transfer: ArrayBufferLike[] = []) => postMessage(message, transfer as ArrayBuffer[]);
/** One bound a level: debug lines, which are seldom shown, keep no error from being heard. */
const limits: Readonly<Record<LogLevel, LogLimit>> = {
  error: new LogLimit(),
  warn: new LogLimit(),
  info: new LogLimit(),
  debug: new LogLimit(),
};
const post = (message: FromWorker, transfer?: ArrayBufferLike[]) => {
  if (message.kind === "log") {
    const { level } = message;
    const passed = limits[level].pass();
    if (!passed) return;
    const fields = { lost_lines: passed.lost };
    if (passed.lost > 0) send({ kind: "log", level, message: "Lost log lines: the plugin logs too many", fields });
  }
  send(message, transfer);
};
const runner = new Runner(post);
containPlugin(post);
self.onmessage = ({ data }) => void runner.handle(data);
