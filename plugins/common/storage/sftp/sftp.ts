/** A folder of an SFTP server as a storage. One connection, made when it is needed and again when it was lost. */
import { posix } from "node:path";
import type { FileEntryWithStats, Stats } from "ssh2";
import { type Measured, measure } from "../content.ts";
import { checkRange, clampRange, downloadStream } from "../download.ts";
import { StorageError } from "../errors.ts";
import { checkName, compareNames, folderPrefix, isTemporary, temporaryName } from "../names.ts";
import { probe } from "../probe.ts";
import { retry } from "../retry.ts";
import type {
  Content,
  Download,
  GetOptions,
  ListOptions,
  OperationOptions,
  PutOptions,
  PutResult,
  RemoveOptions,
  Storage,
  StoredObject,
} from "../storage.ts";
import { Connector, type ConnectorOptions } from "./connector.ts";
import { Files, isFile, isFolder } from "./files.ts";
import type { SftpSession } from "./session.ts";
import { Reader, writeAll } from "./transfer.ts";

export interface SftpOptions extends ConnectorOptions {
  /** On the server; relative to where the user's sessions begin, or absolute. */
  readonly directory: string;
  /** How often an operation is begun that a lost connection ended; a `put` only before its content was touched. */
  readonly attempts: number;
}

/** Deletions under way at once. */
const maxDeletions = 32;

export class SftpStorage implements Storage {
  readonly description: string;
  readonly #options: SftpOptions;
  readonly #root: string;
  readonly #connector: Connector;

  constructor(options: SftpOptions) {
    const { user, host, port, directory } = options;
    this.#options = options;
    this.#root = directory.replace(/(?<=.)\/+$/, "");
    this.description = `sftp://${user}@${host}:${port}/${this.#root.replace(/^\//, "")}`;
    this.#connector = new Connector(options);
  }

  async put(name: string, content: Content, options: PutOptions = {}): Promise<PutResult> {
    const path = this.#path(name);
    const temporary = this.#path(temporaryName(name), true);
    const measured = measure(content, options);
    try {
      const { files, handle } = await this.#use(
        options,
        async (opened) => ({ files: opened, handle: await opened.create(temporary) }),
        { discard: ({ files: opened, handle: unused }) => this.#drop(opened, unused, temporary) },
      );
      try {
        return await this.#write(files, handle, {
          name,
          path,
          temporary,
          measured,
          ifAbsent: options.ifAbsent === true,
        });
      } catch (error) {
        await this.#drop(files, handle, temporary);
        throw error;
      }
    } finally {
      await measured.chunks.return(undefined).catch(() => {});
    }
  }

  /** Over a new connection if this one is lost; where that fails too, removeUnfinished() remains. */
  async #drop(files: Files, handle: Buffer, temporary: string): Promise<void> {
    await files.close(handle).catch(() => {});
    await this.#use({}, (again) => again.remove(temporary), { attempts: 1 }).catch(() => {});
  }

  async #write(
    files: Files,
    handle: Buffer,
    {
      name,
      path,
      temporary,
      measured,
      ifAbsent,
    }: { name: string; path: string; temporary: string; measured: Measured; ifAbsent: boolean },
  ): Promise<PutResult> {
    const what = `write ${this.#url(path)}`;
    await writeAll(files.session, handle, measured.chunks, what);
    const sizeBytes = measured.sizeBytes();
    await files.sync(handle);
    const written = await files.describe(handle);
    await files.close(handle);
    if (written.size !== sizeBytes) {
      throw new StorageError("unavailable", `Cannot ${what}: the server has ${written.size} bytes of ${sizeBytes}`);
    }
    if (ifAbsent) await files.renameIfAbsent(temporary, path, what);
    else await files.rename(temporary, path);
    await files.syncFolder(posix.dirname(path));
    return { name, sizeBytes, modified: modifiedOf(written), sha256: measured.sha256() };
  }

  async get(name: string, { range, signal }: GetOptions = {}): Promise<Download> {
    checkRange(range);
    const path = this.#path(name);
    const what = `read ${this.#url(path)}`;
    const open = async (files: Files): Promise<Download> => {
      const handle = await this.#present(files, path, () => files.open(path));
      try {
        const found = await files.describe(handle);
        if (!isFile(found)) throw new StorageError("not-found", `Cannot ${what}: it is no file`);
        const { start, end } = clampRange(range, found.size);
        const reader = new Reader(files.session, handle, { start, end }, what);
        const read = async () => {
          signal?.throwIfAborted();
          return await orAborted(reader.read(), signal);
        };
        const close = async () => {
          await reader.settled();
          await files.close(handle).catch(() => {});
        };
        const shortened = (received: number) =>
          new StorageError("unavailable", `Cannot ${what}: expected ${end - start} bytes, it ended after ${received}`);
        const object = { name, sizeBytes: found.size, modified: modifiedOf(found) };
        return { object, sizeBytes: end - start, stream: downloadStream({ read, close }, end - start, shortened) };
      } catch (error) {
        await files.close(handle).catch(() => {});
        throw error;
      }
    };
    return await this.#use({ signal }, open, { discard: ({ stream }) => stream.cancel() });
  }

  async stat(name: string, options: OperationOptions = {}): Promise<StoredObject | undefined> {
    const path = this.#path(name);
    try {
      const found = await this.#use(options, (files) => this.#present(files, path, () => files.stat(path)));
      return isFile(found) ? { name, sizeBytes: found.size, modified: modifiedOf(found) } : undefined;
    } catch (error) {
      if (error instanceof StorageError && error.kind === "not-found") return undefined;
      throw error;
    }
  }

  async *list(folder: string, { startsWith = "", ...options }: ListOptions = {}): AsyncGenerator<StoredObject> {
    for await (const { name, attrs, isLeftOver } of this.#walk(folderPrefix(folder), startsWith, options)) {
      if (!isLeftOver) yield { name, sizeBytes: attrs.size, modified: modifiedOf(attrs) };
    }
  }

  async delete(names: Iterable<string> | AsyncIterable<string>, options: OperationOptions = {}): Promise<void> {
    const changed = new Set<string>();
    const removing = new Set<Promise<void>>();
    let failure: { readonly error: unknown } | undefined;
    const remove = async (name: string) => {
      const path = this.#path(name);
      try {
        await this.#use(options, (files) => this.#present(files, path, () => files.remove(path)));
        changed.add(posix.dirname(path));
      } catch (error) {
        if (!(error instanceof StorageError && error.kind === "not-found")) failure ??= { error };
      }
    };
    try {
      for await (const name of names) {
        checkName(name);
        if (failure !== undefined) break;
        const removal = remove(name).finally(() => removing.delete(removal));
        removing.add(removal);
        if (removing.size >= maxDeletions) await Promise.race(removing);
      }
    } finally {
      await Promise.all(removing);
    }
    for (const path of changed) await this.#use(options, (files) => files.syncFolder(path));
    if (failure !== undefined) throw failure.error;
  }

  async removeUnfinished(before: Date, { folder = "", ...options }: RemoveOptions = {}): Promise<number> {
    let removed = 0;
    for await (const { name, attrs, isLeftOver } of this.#walk(folderPrefix(folder), "", options)) {
      if (!isLeftOver || modifiedOf(attrs) >= before) continue;
      try {
        await this.#use(options, (files) => files.remove(this.#path(name, true)));
        removed++;
      } catch (error) {
        // Its writer has ended it since it was listed.
        if (!(error instanceof StorageError && error.kind === "not-found")) throw error;
      }
    }
    return removed;
  }

  async check(options: OperationOptions = {}): Promise<string[]> {
    await probe(this, options);
    const warnings: string[] = [];
    const lacking = await this.#use(options, async (files) => files.lacking);
    if (lacking.length > 0) {
      warnings.push(
        `The SFTP server lacks ${lacking.join(" and ")}: a crash of it may lose files that it had acknowledged`,
      );
    }
    if (this.#options.hostKey.ignore) {
      warnings.push("The SFTP server's host key is not verified: insecure_ignore_host_key is set");
    }
    return warnings;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connector.close();
  }

  /** All files below a prefix, left-over temporary ones too; links are left out. Folders are read page by page. */
  async *#walk(prefix: string, startsWith: string, options: OperationOptions): AsyncGenerator<Found> {
    const path = posix.join(this.#root, prefix);
    const entries = await this.#use(options, async (files) => {
      try {
        return await this.#present(files, path, () => files.list(path, options.signal));
      } catch (error) {
        if (error instanceof StorageError && error.kind === "not-found") return [];
        throw error;
      }
    });
    const wanted = entries
      .filter(({ filename, attrs }) => filename.startsWith(startsWith) && (isFile(attrs) || isFolder(attrs)))
      .map(({ filename, attrs }: FileEntryWithStats) => ({ attrs, name: isFolder(attrs) ? `${filename}/` : filename }))
      .sort((one, other) => compareNames(one.name, other.name));
    for (const { name, attrs } of wanted) {
      if (name.endsWith("/")) yield* this.#walk(prefix + name, "", options);
      else yield { name: prefix + name, attrs, isLeftOver: isTemporary(name) };
    }
  }

  /** An absent file is `not-found`, but not where the whole root is missing: that is a wrong directory, or a disk not mounted. */
  async #present<Value>(files: Files, path: string, work: () => Promise<Value>): Promise<Value> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StorageError) || error.kind !== "not-found") throw error;
      const isThere = await files.stat(this.#root).then(isFolder, (cause: unknown) => {
        if (cause instanceof StorageError && cause.kind === "not-found") return false;
        throw cause;
      });
      if (isThere)
        throw new StorageError("not-found", `Cannot read ${this.#url(path)}: there is no such file`, { cause: error });
      const remedy = "make the folder, mount its disk, or check directory";
      throw new StorageError("misconfigured", `Cannot use ${this.description}: there is no such folder; ${remedy}`, {
        cause: error,
      });
    }
  }

  async #use<Value>(
    { signal }: { readonly signal?: AbortSignal | undefined },
    work: (files: Files) => Promise<Value>,
    { attempts = this.#options.attempts, discard }: { attempts?: number; discard?: (unwanted: Value) => unknown } = {},
  ): Promise<Value> {
    return await retry({ attempts, ...(signal === undefined ? {} : { signal }) }, async () => {
      const session: SftpSession = await orAborted(this.#connector.session(), signal);
      return await orAborted(work(Files.of(session)), signal, discard);
    });
  }

  #path(name: string, isOwn = false): string {
    if (!isOwn) checkName(name);
    return posix.join(this.#root, name);
  }

  #url(path: string): string {
    const { user, host, port } = this.#options;
    return `sftp://${user}@${host}:${port}/${path.replace(/^\//, "")}`;
  }
}

interface Found {
  readonly name: string;
  readonly attrs: Stats;
  readonly isLeftOver: boolean;
}

/** SFTP tells whole seconds. */
const modifiedOf = ({ mtime }: Stats): Date => new Date(mtime * 1000);

/** What the promise gives, unless the signal is aborted first; `discard` gets what comes too late. */
async function orAborted<Value>(
  promise: Promise<Value>,
  signal: AbortSignal | undefined,
  discard?: (unwanted: Value) => unknown,
): Promise<Value> {
  if (signal === undefined) return await promise;
  return await new Promise<Value>((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    promise
      .finally(() => signal.removeEventListener("abort", abort))
      .then((value) => {
        if (signal.aborted) return discard?.(value);
        resolve(value);
      })
      .catch(reject);
  });
}
