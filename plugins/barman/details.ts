/**
 * What `show-backup` tells of the newest backup of each server. It is asked once for each finished backup and kept for
 * good; only its WAL figures change later, and they are renewed a few at a time.
 */
import type { Backup } from "./backups.ts";
import { messageOf } from "./barman.ts";
import type { Config } from "./config.ts";
import type { Journal } from "./journal.ts";
import type { Round } from "./round.ts";
import { type BackupDetail, readBackupDetail } from "./show-backup.ts";

/** The backups of a server that matter: the one to show, and the ends of the row. */
export interface Span {
  readonly shown: Backup;
  readonly oldest: Backup;
}

interface Known {
  readonly detail: BackupDetail;
  /** The status that the list gave when it was asked. */
  readonly status: string;
  /** WAL size in the list at that time: while it is the same, so are the WAL figures. */
  readonly walSizeBytes: number | undefined;
  /** Unix milliseconds of the answer. */
  readonly at: number;
}

export class BackupDetails {
  readonly #config: Config;
  readonly #journal: Journal;
  readonly #now: () => number;
  /** By server, then by backup id. */
  readonly #known = new Map<string, Map<string, Known>>();
  /** Seconds by which the timestamps in a server's list are late; nothing in Barman 3.1 and later. */
  readonly #skews = new Map<string, number>();
  #lastRenewal: number | undefined;

  constructor(config: Config, journal: Journal, now: () => number) {
    this.#config = config;
    this.#journal = journal;
    this.#now = now;
  }

  get(server: string, id: string): BackupDetail | undefined {
    return this.#known.get(server)?.get(id)?.detail;
  }

  /** The detail's WAL figures, unless they should have been renewed and could not be. */
  wal(server: string, backup: Backup): Pick<BackupDetail, "walFiles" | "walFilesPerSecond"> | undefined {
    const known = this.#known.get(server)?.get(backup.id);
    if (known === undefined) return undefined;
    const { wal_ttl, max_staleness } = this.#config;
    return hasNewWal(known, backup) && this.#isOlder(known, wal_ttl + max_staleness) ? undefined : known.detail;
  }

  /**
   * Unix seconds at which a backup ended. Barman before 3.1 makes timestamps from a wall clock without its offset, in
   * the zone of its own process; `show-backup` has the same moment with the offset too, which tells by how much.
   */
  endOf(server: string, backup: Backup): number | undefined {
    const { endTimestamp } = backup;
    const exact = this.get(server, backup.id)?.endTime;
    const skew = this.#skews.get(server);
    if (endTimestamp !== undefined && (skew === undefined || exact === undefined)) return endTimestamp - (skew ?? 0);
    return exact === undefined ? undefined : Math.floor(exact);
  }

  keepOnly(servers: ReadonlySet<string>): void {
    for (const known of [this.#known, this.#skews]) {
      for (const server of known.keys()) if (!servers.has(server)) known.delete(server);
    }
  }

  /** Asks for what is not known yet. Failures are in the journal, and tried again by the next collection. */
  async refresh(round: Round, spans: ReadonlyMap<string, Span>): Promise<void> {
    const due: [string, Backup][] = [];
    const renewable: { readonly server: string; readonly backup: Backup; readonly at: number }[] = [];
    for (const [server, { shown, oldest }] of spans) {
      const ids = this.#known.get(server);
      for (const id of ids?.keys() ?? []) if (id !== shown.id && id !== oldest.id) ids?.delete(id);
      const known = ids?.get(shown.id);
      if (known === undefined || known.status !== shown.status) due.push([server, shown]);
      else if (hasNewWal(known, shown) && this.#isOlder(known, this.#config.wal_ttl)) {
        renewable.push({ server, backup: shown, at: known.at });
      }
    }
    renewable.sort((a, b) => a.at - b.at);
    for (const { server, backup } of renewable.slice(0, this.#renewals(spans.size))) due.push([server, backup]);
    await Promise.all(due.map(([server, backup]) => this.#ask(round, server, backup)));

    for (const [server, { shown }] of spans) this.#learnSkew(server, shown);
    const unsure = [...spans].filter(
      ([server, { oldest }]) => this.#skews.has(server) && this.get(server, oldest.id) === undefined,
    );
    await Promise.all(unsure.map(([server, { oldest }]) => this.#ask(round, server, oldest)));
  }

  /** From the list as it is now, and not as it was when the detail was asked for: Barman may be a newer one since. */
  #learnSkew(server: string, { id, endTimestamp }: Backup): void {
    const exact = this.get(server, id)?.endTime;
    if (exact === undefined || endTimestamp === undefined) return;
    const skew = endTimestamp - Math.floor(exact);
    // Zones are quarters of an hour apart; less than that is rounding.
    if (Math.abs(skew) < 600) this.#skews.delete(server);
    else this.#skews.set(server, skew);
  }

  /** A clock that was set back makes an answer old, lest it be kept until that moment comes anew. */
  #isOlder({ at }: Known, seconds: number): boolean {
    const age = this.#now() - at;
    return age < 0 || age >= seconds * 1000;
  }

  /** How many renewals this collection may make: as many as spread all of them evenly over their life. */
  #renewals(servers: number): number {
    const now = this.#now();
    const elapsedSeconds = this.#lastRenewal === undefined ? 0 : (now - this.#lastRenewal) / 1000;
    this.#lastRenewal = now;
    if (this.#config.wal_ttl === 0) return servers;
    return Math.max(1, Math.ceil((servers * elapsedSeconds) / this.#config.wal_ttl));
  }

  async #ask(round: Round, server: string, backup: Backup): Promise<void> {
    try {
      const answer = await round.askOne("show-backup", server, [server, backup.id], (envelope) => {
        const detail = readBackupDetail(envelope, server);
        if (detail === undefined) throw new SyntaxError("Cannot read the answer of barman show-backup: no such server");
        return detail;
      });
      if (answer === undefined) return;
      const at = this.#now();
      const { status, walSizeBytes } = backup;
      const ids = this.#known.get(server) ?? new Map<string, Known>();
      this.#known.set(server, ids.set(backup.id, { detail: answer.value, status, walSizeBytes, at }));
      this.#journal.gave("show-backup", server, at);
    } catch (error) {
      // Deleted since it was listed: what was known of it is no longer true.
      if (/Unknown backup/.test(messageOf(error))) this.#known.get(server)?.delete(backup.id);
    }
  }
}

function hasNewWal(known: Known, { walSizeBytes }: Backup): boolean {
  return walSizeBytes !== undefined && walSizeBytes !== known.walSizeBytes;
}
