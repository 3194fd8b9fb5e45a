/** The storages that every test of the contract runs on, each with its real counterpart. */
import { existsSync, readdirSync } from "node:fs";
import { StorageError } from "../../../plugins/common/storage/errors.ts";
import { openStorage } from "../../../plugins/common/storage/open.ts";
import { type StorageSettingsInput, storageSettings } from "../../../plugins/common/storage/settings.ts";
import type { Storage } from "../../../plugins/common/storage/storage.ts";
import type { Tool } from "../../harness/available.ts";
import { createFolder } from "../../harness/folders.ts";
import { type S3Server, startS3Server } from "../../harness/s3/server.ts";
import { type SshServer, startSshServer } from "../../harness/ssh.ts";

export interface Place extends AsyncDisposable {
  /** A storage in a place of its own, where nothing is. Its root exists. */
  empty(): Promise<Storage>;
  /** What is left beside whole objects: temporary files, unfinished uploads. */
  leftOvers(): number;
}

export interface Kind {
  readonly name: string;
  readonly needs: readonly Tool[];
  start(): Promise<Place>;
}

export const open = (settings: StorageSettingsInput, environment: Record<string, string> = {}): Promise<Storage> =>
  openStorage(storageSettings.parse(settings), { environment });

export const kinds: readonly Kind[] = [
  {
    name: "local",
    needs: [],
    async start() {
      const folder = await createFolder("holdfast-storage");
      let count = 0;
      return {
        empty: async () => await prepared(await open({ type: "local", directory: `${folder.path}/${++count}` })),
        leftOvers: () => temporaryFiles(folder.path),
        [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
      };
    },
  },
  ...["holdfast", "versioned"].map((bucket) => ({
    name: bucket === "versioned" ? "S3, versioned" : "S3",
    needs: [],
    async start(): Promise<Place> {
      const server = startS3Server();
      server.pageSize = 3;
      let count = 0;
      return {
        empty: () => open({ ...s3Settings(server), bucket, prefix: `/a b/${++count}/`, delete_all_versions: true }),
        leftOvers: () => server.buckets.get(bucket)?.uploads.size ?? 0,
        [Symbol.asyncDispose]: async () => await server[Symbol.asyncDispose](),
      };
    },
  })),
  {
    name: "SFTP",
    needs: ["openssh-server"],
    async start() {
      const server = await startSshServer();
      const opened: Storage[] = [];
      return {
        async empty() {
          const storage = await open({ ...sftpSettings(server), directory: `${server.folder}/${opened.length}/deep` });
          opened.push(storage);
          return await prepared(storage);
        },
        leftOvers: () => temporaryFiles(server.folder),
        async [Symbol.asyncDispose]() {
          for (const storage of opened) await storage[Symbol.asyncDispose]();
          await server[Symbol.asyncDispose]();
        },
      };
    },
  },
];

export const s3Settings = ({ port, account }: S3Server) =>
  ({
    type: "s3",
    endpoint: `http://127.0.0.1:${port}`,
    region: account.region,
    bucket: "holdfast",
    path_style: true,
    access_key_id: account.accessKeyId,
    secret_access_key: account.secretAccessKey,
    part_size: "5MiB",
    timeout: "20s",
    attempts: 2,
  }) satisfies StorageSettingsInput;

export const sftpSettings = ({ host, port, user, folder, privateKeyFile, knownHostsFile }: SshServer) =>
  ({
    type: "sftp",
    host,
    port,
    user,
    directory: folder,
    private_key_file: privateKeyFile,
    known_hosts_file: knownHostsFile,
    timeout: "20s",
    attempts: 2,
  }) satisfies StorageSettingsInput;

/** Folders are made by the first object; the tests begin with none. */
async function prepared(storage: Storage): Promise<Storage> {
  await storage.put("first", new Uint8Array());
  await storage.delete(["first"]);
  return storage;
}

function temporaryFiles(folder: string): number {
  if (!existsSync(folder)) return 0;
  return readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".holdfast-tmp"))
    .length;
}

/** The StorageError that this ends with. @throws Whatever else it ends with. */
export async function failureOf(work: Promise<unknown>): Promise<StorageError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof StorageError) return error;
    throw error;
  }
  throw new Error("It succeeded");
}
