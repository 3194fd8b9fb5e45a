/** All that is known of Barman's servers, and the collections that keep it true. */
import type { CollectContext } from "holdfast";
import { type Backup, isRestorable, newest, oldest, readBackups } from "./backups.ts";
import type { Barman } from "./barman.ts";
import { type Checks, readChecks } from "./checks.ts";
import type { Config, Topic } from "./config.ts";
import { BackupDetails, type Span } from "./details.ts";
import { type DiagnosedServer, readDiagnosis } from "./diagnose.ts";
import { EveryServer, type Findings } from "./every-server.ts";
import type { CommandName, Journal } from "./journal.ts";
import { Kept } from "./kept.ts";
import { type ReplicationClient, readReplication } from "./replication.ts";
import { Round } from "./round.ts";
import { countQueues, type WalQueues } from "./wal-queues.ts";

export interface CheckResult {
  readonly checks: Checks;
  /** False: Barman stopped midway, so that a check that is absent was not made. */
  readonly isWhole: boolean;
}

/** One question and how long its answer is good for. */
interface Part {
  readonly isBasic: boolean;
  readonly ttlSeconds: number;
  /** Unix milliseconds of the last whole answer. */
  answeredAt: number | undefined;
  /** @param onNews Called when something is known. @returns Whether the answer may be cached. */
  readonly ask: (round: Round, onNews: () => void) => Promise<boolean>;
  /** What is to be done while its answer is good still. */
  readonly keepUp?: (round: Round) => Promise<void>;
  /** The data that it renews. */
  readonly kept: Kept<unknown>;
}

/** The commands that the topics need. */
export function commandsFor(collect: readonly Topic[]): CommandName[] {
  return [
    ...(collect.includes("backups") ? (["list-backups", "show-backup"] as const) : []),
    ...(collect.includes("checks") ? (["check"] as const) : []),
    ...(collect.includes("servers") || collect.includes("wal") ? (["diagnose"] as const) : []),
    ...(collect.includes("replication") ? (["replication-status"] as const) : []),
  ];
}

export class Catalogue {
  readonly backups = new Kept<readonly Backup[]>();
  readonly checks = new Kept<CheckResult>();
  readonly replication = new Kept<readonly ReplicationClient[]>();
  readonly diagnosed = new Kept<DiagnosedServer & { readonly queueFiles: WalQueues }>();
  readonly details: BackupDetails;
  readonly inactive = new Set<string>();
  barmanVersion: string | undefined;
  /** Wall time of the last collection that came to its end, with data or without. */
  lastDurationMs: number | undefined;

  readonly #config: Config;
  readonly #barman: Barman;
  readonly #journal: Journal;
  readonly #now: () => number;
  readonly #parts: readonly Part[];
  /** Unix milliseconds at which the collection began. */
  #startedAt = 0;

  constructor(config: Config, barman: Barman, journal: Journal, now: () => number) {
    this.#config = config;
    this.#barman = barman;
    this.#journal = journal;
    this.#now = now;
    this.details = new BackupDetails(config, journal, now);
    this.#parts = this.#partsFor(commandsFor(config.collect));
  }

  /**
   * Asks what is due, all at once. What fails leaves its last good data in place until that is too old.
   * @param onNews Called when something new is known while other questions are still open.
   * @throws The first failure, when nothing at all was answered.
   */
  async refresh(context: CollectContext, onNews: () => void): Promise<void> {
    const startedAt = performance.now();
    const now = this.#now();
    this.#startedAt = now;
    this.#journal.beginRound();
    const round = new Round(context, this.#barman, this.#config);
    const due = this.#parts.filter((part) => !isFresh(part, now));
    const cached = this.#parts.filter((part) => !due.includes(part));
    const [outcomes] = await Promise.all([
      Promise.allSettled(
        due.map(async (part) => {
          if (await part.ask(round, onNews)) part.answeredAt = this.#now();
        }),
      ),
      ...cached.map((part) => part.keepUp?.(round)),
    ]);
    context.signal.throwIfAborted();
    for (const { kept, ttlSeconds } of this.#parts) {
      kept.expire(this.#now(), (ttlSeconds + this.#config.max_staleness) * 1000);
    }
    this.details.keepOnly(new Set(this.backups.servers()));
    this.lastDurationMs = performance.now() - startedAt;
    const failures = outcomes.filter((outcome) => outcome.status === "rejected");
    const hasCached = cached.some((part) => part.isBasic);
    const [first] = failures;
    if (first !== undefined && failures.length === due.length && !hasCached) throw first.reason;
  }

  #partsFor(commands: readonly CommandName[]): Part[] {
    const { cache_ttl, checks_cache_ttl, diagnose_ttl, replication_ttl } = this.#config;
    const asks: Partial<Record<CommandName, Omit<Part, "answeredAt">>> = {
      "list-backups": {
        isBasic: true,
        ttlSeconds: cache_ttl,
        kept: this.backups,
        ask: this.#askBackups(),
        keepUp: (round) => this.details.refresh(round, this.#spans()),
      },
      check: { isBasic: true, ttlSeconds: checks_cache_ttl, kept: this.checks, ask: this.#askChecks() },
      "replication-status": {
        isBasic: false,
        ttlSeconds: replication_ttl,
        kept: this.replication,
        ask: this.#askReplication(),
      },
      diagnose: { isBasic: false, ttlSeconds: diagnose_ttl, kept: this.diagnosed, ask: this.#askDiagnosis() },
    };
    return commands.flatMap((command) => {
      const part = asks[command];
      return part === undefined ? [] : [{ ...part, answeredAt: undefined }];
    });
  }

  #askBackups(): Part["ask"] {
    const everyServer = new EveryServer({
      command: "list-backups",
      timeoutSeconds: this.#config.timeouts.list_backups,
      read: readBackups,
      // The server at which Barman stopped looks as if it had no backups.
      acceptBroken: false,
      onUnreadable: this.#onUnreadable("list-backups"),
    });
    return async (round, onNews) => {
      const found = await everyServer.ask(round, this.#knownServers());
      this.#take("list-backups", found, this.backups, (_, backups) => backups);
      for (const server of this.inactive) {
        if (found.servers.has(server) || found.existing?.has(server) === false) this.inactive.delete(server);
      }
      for (const server of found.inactive) {
        this.inactive.add(server);
        this.backups.delete(server);
      }
      onNews();
      await this.details.refresh(round, this.#spans());
      return found.isWhole;
    };
  }

  #askChecks(): Part["ask"] {
    const everyServer = new EveryServer({
      command: "check",
      timeoutSeconds: this.#config.timeouts.check,
      read: readChecks,
      acceptBroken: true,
      onUnreadable: this.#onUnreadable("check"),
    });
    return async (round, onNews) => {
      const found = await everyServer.ask(round, this.#knownServers());
      this.#take("check", found, this.checks, (server, checks) => ({ checks, isWhole: !found.broken.has(server) }));
      onNews();
      return found.isWhole;
    };
  }

  #askReplication(): Part["ask"] {
    const everyServer = new EveryServer({
      command: "replication-status",
      timeoutSeconds: this.#config.timeouts.replication_status,
      read: readReplication,
      acceptBroken: false,
      onUnreadable: this.#onUnreadable("replication-status"),
    });
    return async (round, onNews) => {
      const found = await everyServer.ask(round, this.#knownServers());
      // An answer without clients and without a position: PostgreSQL is down, and old lags mean nothing.
      this.#take("replication-status", found, this.replication, (_, clients) => clients ?? undefined);
      onNews();
      return found.isWhole;
    };
  }

  #askDiagnosis(): Part["ask"] {
    return async (round, onNews) => {
      const { value } = await round.askAll("diagnose", [], this.#config.timeouts.diagnose, readDiagnosis);
      const at = this.#now();
      const counted = await Promise.all(
        [...value.servers].map(async ([name, server]) => {
          const queueFiles = await countQueues(server.queues);
          return [name, { ...server, queueFiles }] as const;
        }),
      );
      this.barmanVersion = value.barmanVersion;
      const existing = new Set(value.servers.keys());
      this.#journal.keepOnly(existing);
      this.diagnosed.keepOnly(existing);
      for (const [name, server] of counted) {
        this.diagnosed.put(name, server, at);
        this.#journal.gave("diagnose", name, at);
      }
      onNews();
      return true;
    };
  }

  #take<T, U>(
    command: CommandName,
    found: Findings<T>,
    kept: Kept<U>,
    toValue: (server: string, answer: T) => U | undefined,
  ): void {
    const at = this.#now();
    for (const [server, answer] of found.servers) {
      const value = toValue(server, answer);
      if (value === undefined) {
        kept.delete(server);
        continue;
      }
      kept.put(server, value, at);
      this.#journal.gave(command, server, at);
    }
    if (found.existing === undefined) return;
    this.#journal.keepOnly(found.existing);
    kept.keepOnly(found.existing);
    // What another command fails to renew in this collection must not outlive the server itself.
    for (const other of [this.backups, this.checks, this.replication, this.diagnosed]) {
      other.keepOnly(found.existing, this.#startedAt);
    }
  }

  /** Whether the server's configuration says `active = false`, as far as anything that was asked tells it. */
  isInactive(server: string): boolean {
    return this.inactive.has(server) || this.diagnosed.get(server)?.active === false;
  }

  #spans(): Map<string, Span> {
    const spans = new Map<string, Span>();
    for (const server of this.backups.servers()) {
      const backups = this.backups.get(server) ?? [];
      const restorable = backups.filter(isRestorable);
      const shown = this.shownBackup(backups);
      const first = oldest(restorable);
      if (shown && first) spans.set(server, { shown, oldest: first });
    }
    return spans;
  }

  /** The backup that `show-backup` is asked for. The predecessor shows only what is DONE. */
  shownBackup(backups: readonly Backup[]): Backup | undefined {
    return newest(
      backups.filter((backup) =>
        this.#config.compat === "exporter" ? isRestorable(backup) : backup.status === "DONE",
      ),
    );
  }

  #knownServers(): string[] {
    return [...new Set([...this.backups.servers(), ...this.checks.servers(), ...this.inactive])].sort();
  }

  #onUnreadable(command: CommandName): (server: string) => void {
    return (server) => this.#journal.failed(command, server, "parse", "unknown shape of the server's part");
  }
}

function isFresh({ answeredAt, ttlSeconds }: Part, now: number): boolean {
  // A clock that was set back must not keep an answer for ever.
  return answeredAt !== undefined && now >= answeredAt && now - answeredAt < ttlSeconds * 1000;
}
