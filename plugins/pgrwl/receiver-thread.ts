/** The receiving thread as its instance sees it: started, heard, stopped. What it measures is in `telemetry`. */
import type { Log } from "holdfast";
import type { Environment } from "../common/postgres/conninfo.ts";
import type {
  FromThread,
  LastArchived,
  ReceiverSettings,
  ServerFacts,
  Standing,
  ToThread,
} from "./receiver/protocol.ts";
import { Telemetry } from "./receiver/telemetry.ts";

/** Beside this file in the sources; the executable keeps the entry points' tree below its root. */
const receiverEntry = import.meta.path.startsWith("/$bunfs/")
  ? "/$bunfs/root/plugins/pgrwl/receiver/thread.js"
  : new URL("./receiver/thread.ts", import.meta.url).href;

/** A last flush on a slow disk and a last word to the server; the agent gives `stop()` ten seconds. */
const defaultStopWithinMs = 8_000;

/** The last break of the chain of WAL that was found. */
export type Gap = Pick<Extract<FromThread, { kind: "gap" }>, "reason" | "refused" | "message"> & {
  /** Unix milliseconds. */
  readonly foundAt: number;
};

export interface ReceiverThreadOptions {
  readonly settings: ReceiverSettings;
  /** Where libpq's variables are read. */
  readonly environment: Environment;
  readonly log: Log;
  now(): number;
  /** It stands elsewhere than before. */
  onStanding?(): void;
  /** A segment or a history has its final name, durably. */
  onFile?(name: string): void;
  /** The thread's module. Default: the receiver. */
  readonly entry?: string;
  /** How long a stop may take. Default: eight seconds. */
  readonly stopWithinMs?: number;
}

export class ReceiverThread {
  readonly telemetry = new Telemetry();
  readonly #options: ReceiverThreadOptions;
  readonly #ended = Promise.withResolvers<void>();
  readonly #saidStopped = Promise.withResolvers<void>();
  #worker: Worker | undefined;
  #stopping: Promise<void> | undefined;
  #standing: Standing = { state: "starting" };
  #server: ServerFacts | undefined;
  #gap: Gap | undefined;
  #lastSegmentAt: number | undefined;

  constructor(options: ReceiverThreadOptions) {
    this.#options = options;
    // Somebody who only stops never looks at how it ended.
    this.#ended.promise.catch(() => {});
  }

  get standing(): Standing {
    return this.#standing;
  }
  /** Undefined before the first connection. */
  get server(): ServerFacts | undefined {
    return this.#server;
  }
  get gap(): Gap | undefined {
    return this.#gap;
  }
  /** Unix milliseconds; undefined before this thread has completed one. */
  get lastSegmentAt(): number | undefined {
    return this.#lastSegmentAt;
  }

  /**
   * Runs the thread until the signal is aborted and it has stopped. A thread that has nothing more to do, because of
   * `no_loop` or `end_position`, is waited for no longer, and nothing takes its place.
   * @param lastArchived Where the archive ends, if that is known and the folder does not reach further.
   * @throws {Error} It failed; the message is its own.
   */
  async run(signal: AbortSignal, lastArchived?: LastArchived): Promise<void> {
    if (signal.aborted) return;
    const { settings, environment, entry = receiverEntry } = this.#options;
    const worker = new Worker(entry, { env: defined(environment) });
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<FromThread>) => this.#hear(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(`The receiving thread failed: ${saidIn(event.message)}`);
    };
    worker.addEventListener("close", () => this.#closed());
    const { buffer: telemetry } = this.telemetry;
    this.#tell({ kind: "start", settings, environment: defined(environment), telemetry, lastArchived });
    signal.addEventListener("abort", () => void this.stop(), { once: true });
    await this.#ended.promise;
  }

  /** Has the thread flush, tell the server and end; one that takes too long is ended all the same. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const { log, stopWithinMs = defaultStopWithinMs } = this.#options;
    if (this.#worker !== undefined) {
      this.#tell({ kind: "stop" });
      const late = Promise.withResolvers<"late">();
      const timer = setTimeout(() => late.resolve("late"), stopWithinMs);
      const failed = this.#ended.promise.catch(() => {});
      if ((await Promise.race([this.#saidStopped.promise, failed, late.promise])) === "late") {
        const waited_seconds = stopWithinMs / 1000;
        log.warn("The receiver did not stop in time, its last flush may be missing", { waited_seconds });
      }
      clearTimeout(timer);
    }
    this.#end();
    this.#ended.resolve();
  }

  #hear(message: FromThread): void {
    const { log, now } = this.#options;
    switch (message.kind) {
      case "log":
        log[message.level](message.message, message.fields);
        return;
      case "standing":
        this.#standing = message.standing;
        this.#options.onStanding?.();
        return;
      case "server":
        this.#server = message.facts;
        return;
      case "segment":
        this.#lastSegmentAt = now();
        this.#options.onFile?.(message.name);
        return;
      case "history":
        this.#options.onFile?.(message.name);
        return;
      case "gap": {
        const { reason, refused, message: text } = message;
        this.#gap = { reason, refused, message: text, foundAt: now() };
        return;
      }
      case "failed":
        this.#fail(message.message);
        return;
      case "stopped":
        this.#end();
        this.#saidStopped.resolve();
    }
  }

  #tell(message: ToThread): void {
    this.#worker?.postMessage(message);
  }

  #fail(message: string): void {
    this.#end();
    this.#ended.reject(new Error(message));
  }

  /** A thread that was ended from here, or has finished its work, may close; one that closes by itself has failed. */
  #closed(): void {
    if (this.#worker === undefined) return;
    this.#worker = undefined;
    const { state } = this.#standing;
    if (state === "finished" || state === "stopped") this.#saidStopped.resolve();
    else this.#fail("The receiving thread ended although nothing stopped it");
  }

  #end(): void {
    const worker = this.#worker;
    this.#worker = undefined;
    worker?.terminate();
  }
}

function defined(environment: Environment): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** The error's own words in what Bun prints of an uncaught one: code frame, message, stack. */
function saidIn(report: string): string {
  const lines = report.split("\n").map((line) => line.trim());
  const said = lines.find((line) => /^[A-Za-z]*error: /i.test(line)) ?? lines.find(Boolean);
  return said?.replace(/^error: /, "") ?? "without a word";
}
