/** Where an archive goes: beside its file until it is whole and verified; or to stdout or a device as it comes. */
import { type FileHandle, link, open, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { syncFolder, writeAll } from "../../../plugins/common/archive/write-all.ts";

export interface Output {
  write(bytes: Uint8Array): Promise<void>;
  /** All is there and right: makes it durable, and gives it its name. */
  complete(): Promise<void>;
  /** It will not be whole. @returns What was kept of it. */
  abandon(keep: boolean): Promise<string | undefined>;
  /** How it is called in messages. */
  readonly shown: string;
}

/** @param path `-` is stdout. @throws {Error} It cannot be written there. */
export async function openOutput(path: string, { mayReplace }: { mayReplace: boolean }): Promise<Output> {
  if (path === "-") return stdoutOutput();
  const full = resolve(path);
  const found = await stat(full).catch(() => undefined);
  if (found?.isDirectory()) throw new Error(`Cannot write to ${path}: it is a folder`);
  if (found && !found.isFile()) return await deviceOutput(full);
  if (found && !mayReplace) throw existsError(path);
  const partial = join(dirname(full), `${basename(full)}.partial-${randomText()}`);
  return await FileOutput.open(full, partial, mayReplace);
}

/** Goes on with what {@link Output.abandon} kept. */
export async function resumeOutput(partial: string): Promise<{ output: Output; handle: FileHandle }> {
  const match = /^(.+)\.partial-[0-9a-f]{8}$/.exec(resolve(partial));
  if (!match?.[1]) throw new Error(`Cannot go on with ${partial}: expected a name that ends in .partial-xxxxxxxx`);
  const output = await FileOutput.open(match[1], resolve(partial), true, "a+");
  return { output, handle: output.handle };
}

class FileOutput implements Output {
  readonly handle: FileHandle;
  readonly #final: string;
  readonly #partial: string;
  readonly #mayReplace: boolean;

  private constructor(handle: FileHandle, final: string, partial: string, mayReplace: boolean) {
    this.handle = handle;
    this.#final = final;
    this.#partial = partial;
    this.#mayReplace = mayReplace;
  }

  static async open(final: string, partial: string, mayReplace: boolean, flags = "wx"): Promise<FileOutput> {
    const handle = await open(partial, flags, 0o666).catch((cause: unknown) => {
      throw new Error(`Cannot write to ${dirname(final)}`, { cause });
    });
    return new FileOutput(handle, final, partial, mayReplace);
  }

  get shown(): string {
    return this.#final;
  }
  async write(bytes: Uint8Array): Promise<void> {
    await writeAll(this.handle, bytes);
  }
  async complete(): Promise<void> {
    await this.handle.sync();
    await this.handle.close();
    if (this.#mayReplace) await rename(this.#partial, this.#final);
    else {
      // A rename would replace a file that has appeared meanwhile.
      await link(this.#partial, this.#final).catch((cause: { code?: string }) => {
        throw cause.code === "EEXIST" ? existsError(this.#final) : cause;
      });
      await rm(this.#partial);
    }
    await syncFolder(dirname(this.#final));
  }
  async abandon(keep: boolean): Promise<string | undefined> {
    await this.handle.close().catch(() => {});
    if (keep) return this.#partial;
    await rm(this.#partial, { force: true });
    return undefined;
  }
}

/** `/dev/full`, a pipe with a name: nothing to rename and nothing to remove. */
async function deviceOutput(path: string): Promise<Output> {
  const handle = await open(path, "w");
  return {
    shown: path,
    write: (bytes) => writeAll(handle, bytes),
    complete: () => handle.close(),
    async abandon() {
      await handle.close().catch(() => {});
      return undefined;
    },
  };
}

function stdoutOutput(): Output {
  const sink = Bun.stdout.writer({ highWaterMark: 1 << 18 });
  return {
    shown: "standard output",
    async write(bytes) {
      sink.write(bytes);
      await sink.flush();
    },
    async complete() {
      await sink.end();
    },
    async abandon() {
      return undefined;
    },
  };
}

function existsError(path: string): Error {
  return new Error(`Cannot write ${path}: it is there already, name another with --output`);
}

const randomText = () => Buffer.from(crypto.getRandomValues(new Uint8Array(4))).toString("hex");
