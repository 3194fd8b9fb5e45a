/** The worker of one instance: loads its plugin, sets it up and collects when told. Nothing of it outlives the worker. */
import "./worker-modules.ts";
import type { FromWorker, ToWorker } from "./protocol.ts";
import { Runner } from "./runner.ts";
import { containPlugin } from "./worker-globals.ts";

declare const self: { onmessage: ((event: MessageEvent<ToWorker>) => void) | null };

const post = (message: FromWorker, transfer: ArrayBufferLike[] = []) => postMessage(message, transfer as ArrayBuffer[]);
const runner = new Runner(post);
containPlugin(post);
self.onmessage = ({ data }) => void runner.handle(data);
