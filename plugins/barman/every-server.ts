/**
 * One question about every server. `COMMAND all` is one process, but one bad server spoils it: Barman stops at a server
 * that it cannot read and says nothing of those after it, and hangs for all where one PostgreSQL hangs. Then the servers
 * are asked one by one.
 */
import { RunError } from "holdfast";
import type { PerServer } from "./answers.ts";
import { inactiveServers } from "./backups.ts";
import { type Answered, brokeOff, isComplete } from "./barman.ts";
import type { Envelope } from "./envelope.ts";
import { type CommandName, withoutSecrets } from "./journal.ts";
import type { Round } from "./round.ts";

/** What is known after asking. */
export interface Findings<T> {
  readonly servers: ReadonlyMap<string, T>;
  /** Servers whose answer broke off: what is there is true, but something is missing. */
  readonly broken: ReadonlySet<string>;
  /** Servers that Barman left out as inactive. */
  readonly inactive: ReadonlySet<string>;
  /** All servers that exist; undefined when that is not sure. */
  readonly existing: ReadonlySet<string> | undefined;
  /** Whether every server gave what it could: then the answer may be cached. */
  readonly isWhole: boolean;
}

export interface EveryServerOptions<T> {
  readonly command: CommandName;
  readonly timeoutSeconds: number;
  readonly read: (envelope: Envelope) => PerServer<T>;
  /** Whether the part of an answer before the point at which it broke off is worth having. */
  readonly acceptBroken: boolean;
  readonly onUnreadable: (server: string) => void;
}

export class EveryServer<T> {
  readonly #options: EveryServerOptions<T>;
  /** Set after `all` ran into its limit, until every server has answered by itself. */
  #oneByOne = false;

  constructor(options: EveryServerOptions<T>) {
    this.#options = options;
  }

  /**
   * @param known Servers known from earlier, in case Barman cannot even list them.
   * @throws {RunError} No server answered. @throws {SyntaxError} No server's answer can be read.
   */
  async ask(round: Round, known: readonly string[]): Promise<Findings<T>> {
    const { command, timeoutSeconds, read } = this.#options;
    let answer: Answered<PerServer<T>>;
    try {
      if (this.#oneByOne) return await this.#askEach(round, known, undefined, new Map(), new Set());
      answer = await round.askAll(command, ["all"], timeoutSeconds, read);
    } catch (error) {
      if (this.#oneByOne || !(error instanceof RunError) || error.reason !== "timeout") throw error;
      this.#oneByOne = true;
      return this.#askEach(round, known, error, new Map(), new Set());
    }
    const { servers, unreadable } = answer.value;
    for (const server of unreadable) this.#options.onUnreadable(server);
    const inactive = inactiveServers(answer.envelope);
    if (brokeOff(answer.envelope)) {
      // Barman goes through the servers in the order of their names: the last one named is where it stopped.
      const last = [...servers.keys(), ...unreadable].sort().at(-1);
      const whole = new Map([...servers].filter(([server]) => server !== last));
      return this.#askEach(round, known, this.#gaveNothing(answer.envelope), whole, inactive);
    }
    const existing = isComplete(answer.envelope) ? new Set([...servers.keys(), ...unreadable, ...inactive]) : undefined;
    return { servers, broken: new Set(), inactive, existing, isWhole: unreadable.length === 0 };
  }

  /** Asks every server that `answered` does not hold. @param cause What was wrong with the answer to `all`. */
  async #askEach(
    round: Round,
    known: readonly string[],
    cause: Error | undefined,
    answered: ReadonlyMap<string, T>,
    skipped: ReadonlySet<string>,
  ): Promise<Findings<T>> {
    const existing = await round.serverNames();
    const servers = new Map(answered);
    const inactive = new Set(skipped);
    const broken = new Set<string>();
    const asked = [...(existing ?? known)].filter((server) => !servers.has(server) && !inactive.has(server));
    const missing = new Set<string>();
    let hangs = false;
    let failure: unknown = cause;
    await Promise.all(
      asked.map(async (server) => {
        try {
          const answer = await round.askOne(this.#options.command, server, [server], this.#options.read);
          if (answer === undefined) {
            hangs = true;
            missing.add(server);
            return;
          }
          const { value, envelope } = answer;
          const data = value.servers.get(server);
          if (brokeOff(envelope)) broken.add(server);
          if (data !== undefined && (!brokeOff(envelope) || this.#options.acceptBroken)) servers.set(server, data);
          else if (inactiveServers(envelope).has(server)) inactive.add(server);
          else {
            missing.add(server);
            failure ??= this.#gaveNothing(envelope);
          }
        } catch (error) {
          missing.add(server);
          hangs ||= error instanceof RunError && error.reason === "timeout";
          failure ??= error;
        }
      }),
    );
    if (!hangs) this.#oneByOne = false;
    if (servers.size === 0 && inactive.size === 0 && failure !== undefined) throw failure;
    const isWhole = existing !== undefined && missing.size === 0 && broken.size === 0;
    return { servers, broken, inactive, existing, isWhole };
  }

  #gaveNothing({ messages }: Envelope): RunError {
    const found =
      withoutSecrets([...messages.exception, ...messages.error].join(" | ")) || "an answer without the server";
    return new RunError({ reason: "exit", command: ["barman", this.#options.command], found });
  }
}
