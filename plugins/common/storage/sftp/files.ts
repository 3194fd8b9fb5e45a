/** The requests of SFTP that a storage needs, as promises. */
import { posix } from "node:path";
import type { FileEntryWithStats, Stats } from "ssh2";
import { StorageError } from "../errors.ts";
import { isStatus, status } from "./failures.ts";
import type { SftpSession } from "./session.ts";

const fileMode = 0o640;
const folderMode = 0o750;
const typeMask = 0o170000;

export const isFile = ({ mode }: Stats): boolean => (mode & typeMask) === 0o100000;
export const isFolder = ({ mode }: Stats): boolean => (mode & typeMask) === 0o040000;

/** One for each session, so that it remembers what the server lacks. */
export class Files {
  static readonly #known = new WeakMap<SftpSession, Files>();
  readonly session: SftpSession;
  readonly #lacking = new Set<string>();
  readonly #closed = new WeakSet<Buffer>();

  private constructor(session: SftpSession) {
    this.session = session;
  }

  static of(session: SftpSession): Files {
    const files = Files.#known.get(session) ?? new Files(session);
    Files.#known.set(session, files);
    return files;
  }

  /** Extensions that were needed and are not offered. */
  get lacking(): string[] {
    return [...this.#lacking];
  }

  open(path: string): Promise<Buffer> {
    return this.session.request<Buffer>(`open ${path}`, (sftp, callback) => sftp.open(path, "r", callback));
  }

  /** Only the first time: servers give a closed handle's number to the next file, perhaps another writer's. */
  async close(handle: Buffer): Promise<void> {
    if (this.#closed.has(handle)) return;
    this.#closed.add(handle);
    await this.session.request("close a file", (sftp, callback) => sftp.close(handle, done(callback)));
  }

  /** A new file; its folders are made where they are missing. */
  async create(path: string): Promise<Buffer> {
    const create = () =>
      this.session.request<Buffer>(`create ${path}`, (sftp, callback) => sftp.open(path, "wx", fileMode, callback));
    try {
      return await create();
    } catch (error) {
      if (!isAbsence(error)) throw error;
      await this.makeFolder(posix.dirname(path));
      return await create();
    }
  }

  /** Like `mkdir -p`. */
  async makeFolder(path: string): Promise<void> {
    const make = () =>
      this.session.request(`make the folder ${path}`, (sftp, callback) =>
        sftp.mkdir(path, { mode: folderMode }, done(callback)),
      );
    try {
      await make();
    } catch (error) {
      const parent = posix.dirname(path);
      if (isAbsence(error) && parent !== path) {
        await this.makeFolder(parent);
        await make().catch(async (again) => await this.requireFolder(path, again));
      } else await this.requireFolder(path, error);
    }
    await this.syncFolder(posix.dirname(path));
  }

  /** SFTP has no word for "exists already". */
  async requireFolder(path: string, error: unknown): Promise<void> {
    if (!(await this.stat(path).then(isFolder, () => false))) throw error;
  }

  stat(path: string): Promise<Stats> {
    return this.session.request<Stats>(`read ${path}`, (sftp, callback) => sftp.stat(path, callback));
  }

  describe(handle: Buffer): Promise<Stats> {
    return this.session.request<Stats>("read a file's size", (sftp, callback) => sftp.fstat(handle, callback));
  }

  remove(path: string): Promise<void> {
    return this.session.request(`delete ${path}`, (sftp, callback) => sftp.unlink(path, done(callback)));
  }

  async sync(handle: Buffer): Promise<void> {
    await this.#extended("fsync@openssh.com", () =>
      this.session.request("sync a file", (sftp, callback) => sftp.ext_openssh_fsync(handle, done(callback))),
    );
  }

  /** OpenSSH opens folders like files; a server that does not has its own way, or none, to keep names. */
  async syncFolder(path: string): Promise<void> {
    let handle: Buffer;
    try {
      handle = await this.open(path);
    } catch (error) {
      if (this.session.isLost) throw error;
      return;
    }
    try {
      await this.sync(handle);
    } catch (error) {
      if (this.session.isLost) throw error;
    } finally {
      await this.close(handle);
    }
  }

  /** Replaces what is there in one step, where the server can. */
  async rename(from: string, to: string): Promise<void> {
    const what = `rename a file to ${to}`;
    const isDone = await this.#extended("posix-rename@openssh.com", () =>
      this.session.request(what, (sftp, callback) => sftp.ext_openssh_rename(from, to, done(callback))),
    );
    if (isDone) return;
    await this.remove(to).catch((error: unknown) => {
      if (!isAbsence(error)) throw error;
    });
    await this.session.request(what, (sftp, callback) => sftp.rename(from, to, done(callback)));
  }

  /** SFTP's own rename does not replace. Source: draft-ietf-secsh-filexfer-02, section 6.5. */
  async renameIfAbsent(from: string, to: string, what: string): Promise<void> {
    // Some servers' does (those written in Go hand it to the system): what was there before at least is noticed.
    const before = await this.stat(to).catch((error: unknown) => {
      if (!isAbsence(error)) throw error;
    });
    if (before !== undefined) throw new StorageError("exists", `Cannot ${what}: there is such a file`);
    try {
      await this.session.request(what, (sftp, callback) => sftp.rename(from, to, done(callback)));
    } catch (error) {
      const isThere = await this.stat(to).then(
        () => true,
        () => false,
      );
      if (!isThere) throw error;
      throw new StorageError("exists", `Cannot ${what}: there is such a file`, { cause: error });
    }
  }

  /** A folder's entries, in no order. */
  async list(path: string, signal: AbortSignal | undefined): Promise<FileEntryWithStats[]> {
    const what = `list ${path}`;
    const handle = await this.session.request<Buffer>(what, (sftp, callback) => sftp.opendir(path, callback));
    try {
      const entries: FileEntryWithStats[] = [];
      for (;;) {
        signal?.throwIfAborted();
        const page = await this.session
          .request<FileEntryWithStats[]>(what, (sftp, callback) => sftp.readdir(handle, callback))
          .catch((error: unknown) => {
            if (error instanceof StorageError && isStatus(error.cause, status.eof)) return undefined;
            throw error;
          });
        if (page === undefined) return entries;
        entries.push(...page);
      }
    } finally {
      await this.close(handle).catch(() => {});
    }
  }

  /** Whether the server knows the extension; ssh2 throws where it was not offered. */
  async #extended(name: string, request: () => Promise<unknown>): Promise<boolean> {
    if (this.#lacking.has(name)) return false;
    try {
      await request();
      return true;
    } catch (error) {
      const cause = error instanceof StorageError ? error.cause : undefined;
      const isUnknown = cause instanceof Error && cause.message.includes("does not support this extended request");
      if (!isUnknown && !isStatus(cause, status.unsupported)) throw error;
      this.#lacking.add(name);
      return false;
    }
  }
}

const isAbsence = (error: unknown): boolean => error instanceof StorageError && error.kind === "not-found";

/** For requests whose answer is a status alone. */
const done =
  (callback: (error: Error | null | undefined, value: undefined) => void) =>
  (error?: Error | null): void =>
    callback(error, undefined);
