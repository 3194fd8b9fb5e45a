/** The agent's side of one worker. */
import type { PlainIssue } from "../sdk/issues.ts";
import { killGroup } from "../sdk/run.ts";
import { childEnvironment } from "../system/notify.ts";
import { isExecutable } from "./executable.ts";
import { messageOf } from "./failures.ts";
import type {
  Failure,
  FromWorker,
  PlainCheckResult,
  PluginFacts,
  PluginSource,
  SetupRequest,
  ToWorker,
} from "./protocol.ts";
import { after } from "./timing.ts";

/** Beside this file in the sources; the executable keeps the entry points' tree below its root. */
const entry = isExecutable ? "/$bunfs/root/agent/host/worker.js" : new URL("./worker.ts", import.meta.url).href;

/** A killed process may need a while to end, for instance in the middle of a write to a slow disk. */
const reapEveryMs = 100;
const mostReapLooks = 100;

/** What the worker could not do, or why it is of no more use. */
export class PluginFailure extends Error {
  override readonly name = "PluginFailure";
  readonly reason: Failure["reason"];

  constructor({ reason, message }: Failure) {
    super(message);
    this.reason = reason;
  }
}

/** What the worker says without being asked. */
export type Notice = Extract<FromWorker, { kind: "log" | "collected" | "collect-failed" | "published" }>;

export class PluginWorker {
  readonly #worker: Worker;
  readonly #children = new Set<number>();
  readonly #reap: (pid: number) => boolean;
  readonly #ended = Promise.withResolvers<PluginFailure>();
  readonly #awaited = new Map<FromWorker["kind"], (message: FromWorker) => void>();
  #isOver = false;
  #wasSetUp = false;
  /** Takes notices; those that come before it is set are kept for it. */
  #listener: ((notice: Notice) => void) | undefined;
  readonly #unheard: Notice[] = [];

  /** @param reap Takes the exit status of a child whose parent, this worker, is gone; false: it has not ended yet. */
  constructor(reap: (pid: number) => boolean = () => true) {
    this.#reap = reap;
    // A command that heard of the service manager's socket would speak in the agent's name.
    this.#worker = new Worker(entry, { env: childEnvironment() as Record<string, string> });
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.#hear(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#end({ reason: "exception", message: saidIn(event.message) });
    };
    this.#worker.addEventListener("close", (event) => {
      const { code } = event as unknown as { code: number };
      this.#end({ reason: "exception", message: `The plugin ended its worker with exit status ${code}` });
    });
  }

  /** Fulfilled, with the reason, when the worker has ended for whatever reason. */
  get ended(): Promise<PluginFailure> {
    return this.#ended.promise;
  }

  listen(listener: (notice: Notice) => void): void {
    this.#listener = listener;
    for (const notice of this.#unheard.splice(0)) listener(notice);
  }

  /** Imports the plugin. @throws {PluginFailure} It cannot be imported, is no plugin, or takes too long. */
  async load(source: PluginSource, deadlineMs: number): Promise<PluginFacts> {
    return (await this.#ask({ kind: "load", source }, "loaded", deadlineMs, "importing the plugin")).facts;
  }
  /** What the plugin's schema finds wrong with a `config:`. @throws {PluginFailure} */
  async validate(config: unknown, deadlineMs: number): Promise<readonly PlainIssue[]> {
    return (await this.#ask({ kind: "validate", config }, "validated", deadlineMs, "validating the configuration"))
      .issues;
  }
  /** The JSON Schema of the plugin's `config:`. @throws {PluginFailure} */
  async describe(deadlineMs: number): Promise<object> {
    return (await this.#ask({ kind: "describe" }, "described", deadlineMs, "describing the configuration")).schema;
  }
  /** How the plugin's own check of an instance went; none where it has no check. @throws {PluginFailure} It threw or took too long. */
  async check(name: string, config: unknown, deadlineMs: number): Promise<readonly PlainCheckResult[]> {
    const request = { kind: "check", name, config } as const;
    return (await this.#ask(request, "checked", deadlineMs, "the plugin's check()")).results;
  }
  /** @throws {PluginFailure} The plugin's `setup` threw or took too long. */
  async setup(
    request: Omit<SetupRequest, "kind">,
    deadlineMs: number,
  ): Promise<{ collects: boolean; routes: boolean }> {
    this.#wasSetUp = true;
    return await this.#ask({ kind: "setup", ...request }, "ready", deadlineMs, "the plugin's setup()");
  }

  collect(): void {
    this.#send({ kind: "collect" });
  }
  abort(): void {
    this.#send({ kind: "abort" });
  }

  /**
   * Lets the plugin stop by itself, then ends the worker.
   * @throws {PluginFailure} The plugin did not stop in time, or failed meanwhile; the worker is ended all the same.
   */
  async stop(deadlineMs: number): Promise<void> {
    if (this.#isOver) return;
    // A plugin that is still being imported has nothing to stop, and may never answer.
    if (!this.#wasSetUp) return this.end({ reason: "exception", message: "stopped" });
    try {
      await this.#ask({ kind: "stop" }, "stopped", deadlineMs, "the plugin's stop()");
    } finally {
      this.end({ reason: "exception", message: "stopped" });
    }
  }

  /** Ends the worker at once, whatever it does, and the commands that it runs. */
  end(failure: Failure): void {
    this.#end(failure);
    this.#worker.terminate();
  }

  #end(failure: Failure): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const pid of this.#children) this.#bury(pid);
    this.#children.clear();
    this.#ended.resolve(new PluginFailure(failure));
  }

  /** Ends the process group of an orphan, and takes its exit status as soon as it has one. */
  #bury(pid: number): void {
    killGroup(pid, "SIGKILL");
    const look = (left: number) => {
      if (!this.#reap(pid) && left > 0) after(reapEveryMs, () => look(left - 1));
    };
    look(mostReapLooks);
  }

  #send(message: ToWorker): void {
    if (!this.#isOver) this.#worker.postMessage(message);
  }

  async #ask<Kind extends FromWorker["kind"]>(
    message: ToWorker,
    kind: Kind,
    deadlineMs: number,
    what: string,
  ): Promise<Extract<FromWorker, { kind: Kind }>> {
    const answer = Promise.withResolvers<FromWorker>();
    this.#awaited.set(kind, answer.resolve);
    const callOff = after(deadlineMs, () => {
      answer.reject(
        new PluginFailure({ reason: "timeout", message: `No end of ${what} after ${deadlineMs / 1000} s` }),
      );
    });
    this.#send(message);
    try {
      const first = await Promise.race([answer.promise, this.ended]);
      if (first instanceof PluginFailure) throw first;
      if (first.kind === "refused") throw new PluginFailure(first.failure);
      return first as Extract<FromWorker, { kind: Kind }>;
    } finally {
      callOff();
      this.#awaited.delete(kind);
    }
  }

  /** Whatever a worker sends, the agent goes on: one that makes no sense is ended. */
  #hear(message: FromWorker): void {
    try {
      this.#receive(message);
    } catch (error) {
      this.end({ reason: "exception", message: `The plugin's worker sent what cannot be read: ${messageOf(error)}` });
    }
  }

  #receive(message: FromWorker): void {
    switch (message.kind) {
      case "spawned":
        if (!(message.pid > 1)) throw new RangeError(`a command has no process id ${message.pid}`);
        if (this.#isOver) this.#bury(message.pid);
        else this.#children.add(message.pid);
        return;
      case "exited":
        this.#children.delete(message.pid);
        return;
      case "broken":
        this.end(message.failure);
        return;
      case "log":
      case "collected":
      case "collect-failed":
      case "published":
        if (this.#isOver) return;
        if (this.#listener) this.#listener(message);
        else this.#unheard.push(message);
        return;
      case "refused":
        for (const answer of this.#awaited.values()) answer(message);
        return;
      default:
        this.#awaited.get(message.kind)?.(message);
    }
  }
}

/** The error's own words in what Bun prints of an uncaught one: code frame, message, stack. */
function saidIn(report: string): string {
  const lines = report.split("\n").map((line) => line.trim());
  return (
    lines.find((line) => /^[A-Za-z]*error: /i.test(line))?.replace(/^error: /, "") ?? lines.find(Boolean) ?? "error"
  );
}
