/** The three storages with an archive of WAL each, and folders with WAL that nobody received. */
import { utimesSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { formatSegmentName } from "../../../../plugins/common/postgres/wal-segments.ts";
import type { StorageSettingsInput } from "../../../../plugins/common/storage/settings.ts";
import type { WalArchive } from "../../../../plugins/common/wal-archive/archive.ts";
import { openWalArchive } from "../../../../plugins/common/wal-archive/open.ts";
import { type ArchiveSettingsInput, archiveSettings } from "../../../../plugins/common/wal-archive/settings.ts";
import type { Tool } from "../../../harness/available.ts";
import { createFolder } from "../../../harness/folders.ts";
import { startTcpProxy, type TcpProxy } from "../../../harness/outage-proxy.ts";
import { startS3Server } from "../../../harness/s3/server.ts";
import { startSshServer } from "../../../harness/ssh.ts";
import { mib, segmentOf } from "../../../unit/plugins/pgrwl/receiver/wal-content.ts";
import { s3Settings, sftpSettings } from "../../storage/storages.ts";

export { mib };

export interface ArchivePlace extends AsyncDisposable {
  /** As an instance's configuration has it. */
  readonly storage: StorageSettingsInput;
  /** To the server; undefined for a folder. */
  readonly proxy: TcpProxy | undefined;
  /** The storage without the proxy, with other settings. */
  open(more?: Partial<ArchiveSettingsInput>): Promise<WalArchive>;
}

export interface PlaceKind {
  readonly name: "local" | "S3" | "SFTP";
  readonly needs: readonly Tool[];
  start(): Promise<ArchivePlace>;
}

/** One attempt: what fails is told at once. Nobody waits for the time limit, on whatever machine. */
const quick = { timeout: "20s", attempts: 1 } as const;

const opener =
  (storage: StorageSettingsInput): ArchivePlace["open"] =>
  (more = {}) =>
    openWalArchive(archiveSettings.parse({ storage, ...more }), { environment: {} });

export const placeKinds: readonly PlaceKind[] = [
  {
    name: "local",
    needs: [],
    async start() {
      const folder = await createFolder("holdfast-archive");
      const storage = { type: "local", directory: folder.path } as const;
      return { storage, proxy: undefined, open: opener(storage), [Symbol.asyncDispose]: folder[Symbol.asyncDispose] };
    },
  },
  {
    name: "S3",
    needs: [],
    async start() {
      await using cleanup = new AsyncDisposableStack();
      const server = cleanup.use(startS3Server());
      const proxy = cleanup.use(await startTcpProxy(server.port));
      const direct = { ...s3Settings(server), ...quick, prefix: "main" };
      const owned = cleanup.move();
      return {
        storage: { ...direct, endpoint: `http://127.0.0.1:${proxy.port}` },
        proxy,
        open: opener(direct),
        [Symbol.asyncDispose]: () => owned.disposeAsync(),
      };
    },
  },
  {
    name: "SFTP",
    needs: ["openssh-server"],
    async start() {
      await using cleanup = new AsyncDisposableStack();
      const server = cleanup.use(await startSshServer());
      const proxy = cleanup.use(await startTcpProxy(server.port));
      const { known_hosts_file: _, ...settings } = sftpSettings(server);
      const direct = { ...settings, ...quick, host_key: server.rsaHostKey, directory: `${server.folder}/wals` };
      const owned = cleanup.move();
      return {
        storage: { ...direct, port: proxy.port },
        proxy,
        open: opener(direct),
        [Symbol.asyncDispose]: () => owned.disposeAsync(),
      };
    },
  },
];

export const nameOf = (number: number, timeline = 1): string => formatSegmentName({ timeline, number }, mib);

/** Writes whole segments of 1 MiB, each a minute older than the one behind it. */
export async function writeSegments(directory: string, numbers: readonly number[], timeline = 1): Promise<string[]> {
  await mkdir(directory, { recursive: true });
  const names: string[] = [];
  for (const number of numbers) {
    const path = join(directory, nameOf(number, timeline));
    await writeFile(path, segmentOf({ timeline, number }));
    const at = Date.now() / 1000 - 60 * (Math.max(...numbers) - number);
    utimesSync(path, at, at);
    names.push(nameOf(number, timeline));
  }
  return names;
}

export async function segmentsIn(directory: string): Promise<string[]> {
  return (await readdir(directory)).filter((name) => /^[0-9A-F]{24}$/.test(name)).sort();
}

/** Names of all that an archive has, in order. */
export async function namesIn(archive: WalArchive): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name } of archive.list()) names.push(name);
  } catch {
    // Nothing was ever stored: its folder is not there.
  }
  return names.sort();
}
