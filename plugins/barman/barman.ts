/** Runs Barman's commands and reads the envelopes of their answers. */
import { type CollectContext, RunError } from "holdfast";
import type { Config } from "./config.ts";
import { type Envelope, parseEnvelope } from "./envelope.ts";
import { type CommandName, type FailureReason, type Journal, withoutSecrets } from "./journal.ts";

/** A question, to all servers or to one. */
export interface Question {
  readonly command: CommandName;
  readonly args: readonly string[];
  /** The server that is asked; undefined: all. */
  readonly server?: string;
  readonly timeoutSeconds: number;
}

/** What running a command takes of a collection. */
export type RunContext = Pick<CollectContext, "run" | "signal">;

export class Barman {
  readonly #config: Config;
  readonly #journal: Journal;
  readonly #env: Readonly<Record<string, string | undefined>> | undefined;

  constructor(config: Config, journal: Journal) {
    this.#config = config;
    this.#journal = journal;
    // `run` takes a whole environment; Barman needs the agent's own (PATH, HOME, PGPASSFILE) beside what is configured.
    this.#env = Object.keys(config.env).length === 0 ? undefined : { ...process.env, ...config.env };
  }

  /**
   * The answer to a question, read by `read`. Exit status and messages do not matter as long as there is data: Barman
   * exits with 1 when one server of many is in trouble, and its answer is still good for the others.
   * @throws {RunError} No answer: not started, ended without data, past its limit. @throws {SyntaxError} Not readable.
   */
  async ask<T>(context: RunContext, question: Question, read: (answer: Envelope) => T): Promise<Answered<T>> {
    const { command, server } = question;
    const startedAt = performance.now();
    this.#journal.started(command);
    try {
      const { envelope, stderr } = await this.#envelope(context, question);
      const value = read(envelope);
      this.#journal.answered(command, server, envelope, stderr);
      return { value, envelope };
    } catch (error) {
      const reason = reasonOf(error);
      if (reason) this.#journal.failed(command, server, reason, messageOf(error));
      throw error;
    } finally {
      this.#journal.ended(command, (performance.now() - startedAt) / 1000);
    }
  }

  async #envelope({ run, signal }: RunContext, question: Question): Promise<{ envelope: Envelope; stderr: string }> {
    const { command, args, timeoutSeconds } = question;
    const argv: [string, ...string[]] = [this.#config.path];
    if (this.#config.config_file !== undefined) argv.push("-c", this.#config.config_file);
    // With `-f json` diagnose would wrap its own JSON into one string.
    if (command !== "diagnose") argv.push("-f", "json");
    argv.push(command, ...args);
    try {
      const { stdout, stderr } = await run(argv, {
        signal,
        timeoutMs: timeoutSeconds * 1000,
        ...(this.#env === undefined ? {} : { env: this.#env }),
      });
      return { envelope: parseEnvelope(stdout, command), stderr };
    } catch (error) {
      if (!(error instanceof RunError)) throw error;
      // It quotes stderr, and the agent logs and shows it.
      error.message = withoutSecrets(error.message);
      if (error.reason !== "exit") throw error;
      return { envelope: dataInSpiteOf(error, question), stderr: error.stderr };
    }
  }
}

export interface Answered<T> {
  readonly value: T;
  readonly envelope: Envelope;
}

/** What a command said before it exited with an error. @throws {RunError} It said nothing of any server. */
function dataInSpiteOf(error: RunError, { command, args }: Question): Envelope {
  let envelope: Envelope;
  try {
    envelope = parseEnvelope(error.stdout, command);
  } catch {
    throw error;
  }
  // Where Barman stops at the very first of all servers, the others can still be asked one by one.
  if (envelope.data.size > 0 || (args[0] === "all" && brokeOff(envelope))) return envelope;
  const words = withoutSecrets([...envelope.messages.exception, ...envelope.messages.error].join(" | "));
  throw new RunError({
    reason: "exit",
    command: error.command,
    exitCode: error.exitCode,
    found: `exit status ${error.exitCode}${words && `: ${words}`}`,
    cause: error,
  });
}

/** Undefined: the collection was aborted, which is no failure of the command. */
function reasonOf(error: unknown): FailureReason | undefined {
  if (error instanceof RunError) return error.reason === "aborted" ? undefined : error.reason;
  return "parse";
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Whether an answer broke off: Barman met something unforeseen, and what it would have said after that is missing. */
export const brokeOff = ({ messages }: Pick<Envelope, "messages">): boolean => messages.exception.length > 0;

/** Whether an answer speaks of all servers that it was asked for. */
export const isComplete = ({ messages }: Pick<Envelope, "messages">): boolean =>
  !brokeOff({ messages }) && messages.error.length === 0;
