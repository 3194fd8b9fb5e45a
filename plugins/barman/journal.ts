/** The plugin's own work: what ran, how long, what failed and why. Repeated failures are logged once. */
import type { Log } from "holdfast";
import type { Envelope, MessageLevel } from "./envelope.ts";
import type { Series } from "./metrics/series.ts";

export type CommandName = "list-backups" | "check" | "show-backup" | "list-servers" | "replication-status" | "diagnose";

/** Why an answer is missing (spawn, exit, timeout, parse, oversize), or that it is not whole (partial). */
const failureReasons = ["spawn", "exit", "timeout", "parse", "oversize", "partial"] as const;
export type FailureReason = (typeof failureReasons)[number];

const shownLevels = ["info", "warning", "error", "exception"] as const satisfies readonly MessageLevel[];
const longestText = 600;

export class Journal {
  readonly #series: Series;
  readonly #log: Log;
  readonly #durations = new Map<CommandName, { readonly round: number; readonly seconds: number }>();
  readonly #messages = new Map<CommandName, Envelope["messages"]>();
  /** Unix milliseconds by command and server. */
  readonly #successes = new Map<CommandName, Map<string, number>>();
  /** What was last logged, by subject. */
  readonly #logged = new Map<string, string>();
  #round = 0;

  /** @param commands Those that the configuration lets run: their counters begin at 0, so that a first failure shows. */
  constructor(series: Series, log: Log, commands: readonly CommandName[]) {
    this.#series = series;
    this.#log = log;
    for (const command of commands) {
      series.add("barman_exporter_commands_total", { command }, 0);
      for (const reason of failureReasons) series.add("barman_exporter_command_failures_total", { command, reason }, 0);
    }
  }

  /** A collection begins. */
  beginRound(): void {
    this.#round += 1;
  }
  started(command: CommandName): void {
    this.#series.add("barman_exporter_commands_total", { command }, 1);
  }
  ended(command: CommandName, seconds: number): void {
    const before = this.#durations.get(command);
    const longest = before?.round === this.#round ? Math.max(before.seconds, seconds) : seconds;
    this.#durations.set(command, { round: this.#round, seconds: longest });
  }
  failed(command: CommandName, server: string | undefined, reason: FailureReason, error: string): void {
    this.#series.add("barman_exporter_command_failures_total", { command, reason }, 1);
    this.#warn(`${command} ${server ?? "all"}`, "Barman command failed", { command, server, reason, error });
  }
  /** An answer could be read. Its messages and its stderr are logged when they change; partial ones are counted. */
  answered(command: CommandName, server: string | undefined, { messages }: Envelope, stderr: string): void {
    const subject = `${command} ${server ?? "all"}`;
    if (server === undefined) this.#messages.set(command, messages);
    const trouble = [...messages.exception, ...messages.error];
    if (trouble.length > 0) {
      this.#series.add("barman_exporter_command_failures_total", { command, reason: "partial" }, 1);
      this.#warn(subject, "Barman command answered in part", { command, server, error: trouble.join(" | ") });
    } else if (this.#logged.delete(subject)) {
      this.#log.info("Barman command works again", { command, server });
    }
    const noise = [...messages.warning, ...(stderr.trim() === "" ? [] : [lastLine(stderr)])];
    if (noise.length > 0) {
      // The lines of an unwritable log file begin with a time and a process id, and so never repeat.
      const signature = noise.join(" | ").replace(/\d+/g, "0");
      const fields = { command, server, warning: noise.join(" | ") };
      this.#warn(`${subject} warning`, "Barman command warned", fields, signature);
    } else {
      this.#logged.delete(`${subject} warning`);
    }
  }
  /** A command gave data of a server. */
  gave(command: CommandName, server: string, at: number): void {
    const servers = this.#successes.get(command) ?? new Map<string, number>();
    this.#successes.set(command, servers.set(server, at));
  }
  /** Forgets servers that are gone. */
  keepOnly(servers: ReadonlySet<string>): void {
    for (const known of this.#successes.values()) {
      for (const server of known.keys()) if (!servers.has(server)) known.delete(server);
    }
  }
  show(series: Series): void {
    for (const [command, { seconds }] of sorted(this.#durations)) {
      series.set("barman_exporter_command_duration_seconds", { command }, seconds);
    }
    for (const [command, messages] of sorted(this.#messages)) {
      for (const level of shownLevels) {
        series.set("barman_exporter_messages", { command, level }, messages[level].length);
      }
    }
    for (const [command, servers] of sorted(this.#successes)) {
      for (const [server, at] of sorted(servers)) {
        series.set("barman_exporter_command_last_success_timestamp_seconds", { command, server }, at / 1000);
      }
    }
  }

  /** Repeats of what was last said of a subject go to debug. */
  #warn(
    subject: string,
    message: string,
    fields: Readonly<Record<string, string | undefined>>,
    signature = JSON.stringify(fields),
  ): void {
    const repeated = this.#logged.get(subject) === signature;
    this.#logged.set(subject, signature);
    const safe = Object.fromEntries(
      Object.entries(fields).map(([key, value]) => [key, value && withoutSecrets(value)]),
    );
    this.#log[repeated ? "debug" : "warn"](message, safe);
  }
}

/** By key: commands end in another order each time, and the page should not. */
function sorted<Key extends string, Value>(map: ReadonlyMap<Key, Value>): [Key, Value][] {
  return [...map].sort(([one], [other]) => (one < other ? -1 : 1));
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}

/** Barman quotes connection strings in some of its messages. */
export function withoutSecrets(text: string): string {
  return text
    .replace(/(passw(?:or)?d['"]?\s*[=:]\s*)('(?:[^'\\]|\\.)*'|[^\s'"]+)/gi, "$1***")
    .replace(/(:\/\/[^\s/:@]+:)[^\s@]+@/g, "$1***@")
    .slice(0, longestText);
}
