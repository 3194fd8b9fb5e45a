/**
 * Kills of the agent while it uploads, deletes here and retains there. After each: every segment that the server was told
 * to be flushed is whole in the folder or in the archive, and whatever has a final name there is whole.
 */
import { utimesSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseLsn } from "../../../../../plugins/common/postgres/lsn.ts";
import { parseSegmentName, segmentAt } from "../../../../../plugins/common/postgres/wal-segments.ts";
import { StorageError } from "../../../../../plugins/common/storage/errors.ts";
import type { ArchivedFile, WalArchive } from "../../../../../plugins/common/wal-archive/archive.ts";
import { type Agent, startAgent } from "../../../../harness/agent.ts";
import { receiverConfig } from "../../../../harness/agent-receiver.ts";
import { createFolder } from "../../../../harness/folders.ts";
import { type PostgresServer, startPostgres } from "../../../../harness/postgres.ts";
import { waitFor } from "../../../../harness/wait.ts";
import { createSlot, isStreaming } from "../../../../harness/wal-receiver.ts";
import { type Chance, chanceOf } from "../../kill/random.ts";
import { type ArchivePlace, mib, nameOf, namesIn, type PlaceKind, segmentsIn } from "../places.ts";

export interface UploadRounds {
  readonly seed: number;
  /** More where they have not seen enough. */
  readonly count: number;
  readonly kind: PlaceKind;
  /** Told of each round when it begins. */
  readonly onRound?: (round: number) => void;
}

export interface UploadRoundsResult {
  /** Segments that were compared with the server's, in the archive. */
  readonly archived: number;
  /** Segments that retention has taken from it. */
  readonly retained: number;
  /** Rounds in which some segments were in both places, and in which some waited. */
  readonly inBoth: number;
  readonly waiting: number;
}

const slot = "holdfast";
const passphrase = "geheim";
const encrypted = { encryption: { passphrase } };
const codecs = [{}, { compression: "zstd" }, { compression: "gzip" }, encrypted];

/** What the rounds are to see at least, whatever the machine and the draw: rounds with waiting segments, and segments retained in a folder. */
export const leastWaiting = 3;
export const leastRetained = 4;

/** @throws {Error} A segment is missing, or is not what the server has; the message has the seed and the round. */
export async function runUploadRounds({ seed, count, kind, onRound }: UploadRounds): Promise<UploadRoundsResult> {
  const chance = chanceOf(seed);
  await using cleanup = new AsyncDisposableStack();
  const folder = cleanup.use(await createFolder("holdfast-upload-kill"));
  const directory = join(folder.path, "wal");
  await mkdir(directory);
  const place = cleanup.use(await kind.start());
  const settings = { wal_keep_size: "16GB", max_wal_size: "8GB", autovacuum: "off", fsync: "off" };
  const server = cleanup.use(await startPostgres(settings, { segmentMiB: 1 }));
  await createSlot(server, slot);
  const archive = cleanup.use(await place.open({ encryption: { passphrase } }));
  const check = new Check(server, directory, archive, await firstSegment(server));
  let agent: Agent | undefined;
  cleanup.defer(() => agent?.[Symbol.asyncDispose]());
  const failed = (when: string, cause: unknown): Error => {
    const said = agent?.stderr.slice(-12).join("\n");
    const message = cause instanceof Error ? cause.message : cause;
    return new Error(`${when}, ${kind.name}, seed ${seed}: ${message}\n${said}`, { cause });
  };
  const hasSeenEnough = () => {
    const { waiting, retained } = check.result();
    return waiting >= leastWaiting && (place.storage.type !== "local" || retained >= leastRetained);
  };
  // How much is under way at a kill depends on the machine: where it was too little there are more of them.
  for (let round = 1; round <= count || (!hasSeenEnough() && round <= 4 * count); round++) {
    onRound?.(round);
    try {
      const codec = chance.pick(codecs);
      agent = await startAgent(configuration(directory, place, codec, server, chance), { waitReady: false });
      // In the other half the kill may come before a slow machine's agent has begun.
      if (chance.isLess(0.5)) await waitFor("the stream", () => isStreaming(server, { applicationName: slot }), 60_000);
      await write(server, chance.integer(2, 7));
      // Not a wait for something: the moment itself is what is tried.
      await Bun.sleep(chance.integer(0, 900));
      if (chance.isLess(0.5)) await write(server, chance.integer(1, 4));
      await Bun.sleep(chance.integer(0, 60));
      agent.signal("SIGKILL");
      await agent.exited;
      await check.run();
      check.age(place);
      await agent[Symbol.asyncDispose]();
    } catch (cause) {
      throw failed(`Round ${round} of ${count}`, cause);
    }
  }
  try {
    // With the passphrase: what is archived encrypted and still here can be compared only so, and leaves only then.
    agent = await startAgent(configuration(directory, place, encrypted, server, chance));
    const wanted = segmentAt(parseLsn((await server.psql("SELECT pg_current_wal_lsn()")).trim()) ?? 0n, mib) - 1;
    const isArchived = async () => (await namesIn(archive)).includes(nameOf(wanted));
    await waitFor("the last segment to be archived", isArchived, 60_000);
    let left: string[] = [];
    const hasRoom = async () => {
      left = await segmentsIn(directory);
      return left.length <= 3;
    };
    await waitFor("room", hasRoom, 60_000).catch((cause) => {
      throw new Error(`Too much is left in the folder: ${left.join(", ")}`, { cause });
    });
    await agent.stop();
    await check.run();
  } catch (cause) {
    throw failed("After all rounds", cause);
  }
  return check.result();
}

function configuration(
  directory: string,
  { storage }: ArchivePlace,
  codec: object,
  server: PostgresServer,
  chance: Chance,
): string {
  const archive = {
    storage,
    ...codec,
    keep_local: chance.integer(0, 3),
    concurrency: chance.integer(1, 5),
    ship_partial: chance.isLess(0.5) ? "1s" : "0s",
    retention: { keep: "1h", interval: "1s" },
  };
  const config = { back_off: { first: "10ms", longest: "50ms" }, archive };
  return receiverConfig(directory, { slot, config }, server);
}

async function write(server: PostgresServer, segments: number): Promise<void> {
  const one =
    "SELECT pg_logical_emit_message(false, 'test', repeat(md5(random()::text), 8000)); SELECT pg_switch_wal();";
  await server.psql(one.repeat(segments));
}

async function firstSegment(server: PostgresServer): Promise<number> {
  const lsn = (await server.psql("SELECT restart_lsn FROM pg_replication_slots")).trim();
  return segmentAt(parseLsn(lsn) ?? 0n, mib);
}

async function listed(archive: WalArchive): Promise<ArchivedFile[]> {
  const files: ArchivedFile[] = [];
  try {
    for await (const file of archive.list()) files.push(file);
  } catch (error) {
    // Nothing was ever stored.
    if (!(error instanceof StorageError && error.kind === "misconfigured")) throw error;
  }
  return files;
}

class Check {
  readonly #server: PostgresServer;
  readonly #directory: string;
  readonly #archive: WalArchive;
  readonly #first: number;
  /** Those that are gone had to be the oldest. */
  #from: number;
  readonly #compared = new Set<string>();
  /** How many were made old enough for retention. */
  #aged = 0;
  #inBoth = 0;
  #waiting = 0;
  #objects: string[] = [];

  constructor(server: PostgresServer, directory: string, archive: WalArchive, first: number) {
    this.#server = server;
    this.#directory = directory;
    this.#archive = archive;
    this.#first = first;
    this.#from = first;
  }

  async run(): Promise<void> {
    const archived = new Map<string, string>();
    for (const { name, kind, objectName } of await listed(this.#archive)) {
      if (kind === "segment") archived.set(name, objectName);
    }
    this.#objects = [...archived.values()].sort();
    const local = await segmentsIn(this.#directory);
    for (const [name, objectName] of archived) {
      if (this.#compared.has(objectName)) continue;
      const { content } = await this.#archive.read(name);
      await this.#compare(name, content);
      this.#compared.add(objectName);
    }
    for (const name of local) await this.#compare(name, await readFile(join(this.#directory, name)));
    const numbers = [...archived.keys(), ...local].map((name) => parseSegmentName(name, mib)?.number ?? 0);
    const until = await firstSegment(this.#server);
    // Only retention takes anything, and from the beginning: what it has aged.
    if (this.#aged > 0) this.#from = Math.max(this.#from, Math.min(...numbers));
    if (this.#from > this.#first + this.#aged)
      throw new Error(`${nameOf(this.#first + this.#aged)} was young, and is gone`);
    for (let number = this.#from; number < until; number++) {
      const name = nameOf(number);
      if (!archived.has(name) && !local.includes(name))
        throw new Error(`${name} is neither here nor in the archive, and all before ${nameOf(until)} is flushed`);
    }
    if (local.some((name) => archived.has(name))) this.#inBoth++;
    if (local.some((name) => !archived.has(name))) this.#waiting++;
  }

  /** Makes the older half of the archive as old as retention wants it. */
  age({ storage }: ArchivePlace): void {
    if (storage.type !== "local") return;
    const hoursAgo = Date.now() / 1000 - 7200;
    for (const objectName of this.#objects.slice(0, Math.floor(this.#objects.length / 2))) {
      utimesSync(join(storage.directory, objectName), hoursAgo, hoursAgo);
      const number = parseSegmentName(objectName.slice(12, 36), mib)?.number ?? 0;
      this.#aged = Math.max(this.#aged, number + 1 - this.#first);
    }
  }

  async #compare(name: string, content: Uint8Array): Promise<void> {
    const there = await readFile(join(this.#server.dataFolder, "pg_wal", name));
    if (!there.equals(content)) throw new Error(`${name} differs from the server's`);
  }

  result(): UploadRoundsResult {
    return {
      archived: this.#compared.size,
      retained: this.#from - this.#first,
      inBoth: this.#inBoth,
      waiting: this.#waiting,
    };
  }
}
