/** One collection's questions to single servers: bounded in number at a time, and bounded together in time. */
import { type Answered, type Barman, isComplete, type Question, type RunContext } from "./barman.ts";
import type { Config } from "./config.ts";
import type { Envelope } from "./envelope.ts";
import { readServerNames } from "./servers.ts";

export class Round {
  readonly context: RunContext;
  readonly #barman: Barman;
  readonly #config: Config;
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  /** By command: none of them takes the time of another. */
  readonly #single = new Map<Question["command"], RunContext>();
  #names: Promise<ReadonlySet<string> | undefined> | undefined;

  constructor(context: RunContext, barman: Barman, config: Config) {
    this.context = context;
    this.#barman = barman;
    this.#config = config;
  }

  askAll<T>(command: Question["command"], args: readonly string[], timeoutSeconds: number, read: (e: Envelope) => T) {
    return this.#barman.ask(this.context, { command, args, timeoutSeconds }, read);
  }

  /**
   * Asks for one server, when it is its turn; undefined when the time for such questions is over before it is.
   * @throws {RunError} No answer. @throws {SyntaxError} Not readable.
   */
  async askOne<T>(
    command: Question["command"],
    server: string,
    args: readonly string[],
    read: (envelope: Envelope) => T,
  ): Promise<Answered<T> | undefined> {
    const context = this.#single.get(command) ?? {
      run: this.context.run,
      signal: AbortSignal.any([this.context.signal, AbortSignal.timeout(this.#config.timeouts.servers * 1000)]),
    };
    this.#single.set(command, context);
    if (this.#running >= this.#config.parallelism) await new Promise<void>((go) => this.#waiting.push(go));
    else this.#running += 1;
    try {
      if (context.signal.aborted) return undefined;
      const timeoutSeconds = this.#config.timeouts.server;
      return await this.#barman.ask(context, { command, args, server, timeoutSeconds }, read);
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running -= 1;
    }
  }

  /** Names of all configured servers, asked for at most once; undefined when Barman does not tell. */
  serverNames(): Promise<ReadonlySet<string> | undefined> {
    this.#names ??= this.askAll("list-servers", [], this.#config.timeouts.server, readServerNames).then(
      ({ value, envelope }) => (isComplete(envelope) ? value : undefined),
      () => undefined,
    );
    return this.#names;
  }
}
