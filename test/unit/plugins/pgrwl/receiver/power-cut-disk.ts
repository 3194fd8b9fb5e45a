/**
 * A file system in memory that knows what a power cut would leave: of a file the pages that were synced, of a folder the
 * names that were synced, and of the rest any part. A sync that fails forgets what it should have written, as Linux does.
 */
import { constants } from "node:fs";
import { basename, dirname } from "node:path";
import type { DiskCalls } from "../../../../../plugins/pgrwl/receiver/disk.ts";

const pageBytes = 4096;

class Content {
  data: Buffer = Buffer.alloc(0);
  durable: Buffer = Buffer.alloc(0);
  /** Pages that a sync would write. */
  readonly dirty = new Set<number>();

  resize(sizeBytes: number): void {
    if (sizeBytes === this.data.length) return;
    const data = Buffer.alloc(sizeBytes);
    this.data.copy(data);
    this.data = data;
  }
  write(bytes: Uint8Array, position: number): void {
    if (position + bytes.length > this.data.length) this.resize(position + bytes.length);
    this.data.set(bytes, position);
    if (bytes.length === 0) return;
    const last = Math.floor((position + bytes.length - 1) / pageBytes);
    for (let page = Math.floor(position / pageBytes); page <= last; page++) this.dirty.add(page);
  }
  sync(): void {
    this.durable = this.after((page) => this.dirty.has(page));
    this.dirty.clear();
  }
  /** What is on the disk once these of the dirty pages are. */
  after(isWritten: (page: number) => boolean): Buffer {
    const content = Buffer.alloc(this.data.length);
    this.durable.copy(content);
    for (const page of this.dirty)
      if (isWritten(page)) this.data.copy(content, page * pageBytes, page * pageBytes, (page + 1) * pageBytes);
    return content;
  }
}

type Entries = Map<string, Content>;

class Folder {
  readonly entries: Entries = new Map();
  readonly durable: Entries = new Map();
  pending: ((entries: Entries) => void)[] = [];
  isDurable = false;

  change(step: (entries: Entries) => void): void {
    step(this.entries);
    this.pending.push(step);
  }
  sync(): void {
    for (const step of this.pending) step(this.durable);
    this.pending = [];
  }
}

/** What may be left of a file: the least and the most; any mixture of their pages is possible too. */
export interface Survival {
  readonly least: Buffer;
  readonly most: Buffer;
}

const failure = (code: string): Error => Object.assign(new Error(code), { code });

export class PowerCutDisk implements DiskCalls {
  readonly #folders = new Map<string, Folder>();
  readonly #open = new Map<number, { readonly path: string; readonly content: Content | Folder }>();
  #nextFd = 1000;
  /** Called before each call that changes something; may throw what the call then fails with. */
  beforeChange: (call: string, path: string) => void = () => {};

  constructor(directory: string) {
    const folder = new Folder();
    folder.isDurable = true;
    this.#folders.set(directory, folder);
  }

  /** What the end of a process does. */
  closeAll(): void {
    this.#open.clear();
  }
  get openCount(): number {
    return this.#open.size;
  }

  /** Path to what is left of it, for each set of names that a power cut may leave now: those synced and the first of the rest. */
  *powerCuts(): Generator<ReadonlyMap<string, Survival>> {
    const most = Math.max(...[...this.#folders.values()].map(({ pending }) => pending.length));
    for (let steps = 0; steps <= most; steps++) yield this.#powerCut(steps);
  }

  #powerCut(steps: number): Map<string, Survival> {
    const files = new Map<string, Survival>();
    for (const [path, folder] of this.#folders) {
      if (!folder.isDurable) continue;
      const entries = new Map(folder.durable);
      for (const step of folder.pending.slice(0, steps)) step(entries);
      for (const [name, { durable, data }] of entries) files.set(`${path}/${name}`, { least: durable, most: data });
    }
    return files;
  }

  /** Path to content, after one of the power cuts that may come now; or after the end of the process alone. */
  left(random: () => number, isPowerCut: boolean): Map<string, Buffer> {
    const files = new Map<string, Buffer>();
    for (const [path, { durable, entries, pending, isDurable }] of this.#folders) {
      if (!isDurable && isPowerCut) continue;
      const found = isPowerCut ? new Map(durable) : entries;
      if (isPowerCut) for (const step of pending.slice(0, Math.floor(random() * (pending.length + 1)))) step(found);
      for (const [name, content] of found)
        files.set(`${path}/${name}`, isPowerCut ? content.after(() => random() < 0.5) : content.data);
    }
    return files;
  }

  /** A disk on which everything is durable that another one was left with. */
  static from(directory: string, files: ReadonlyMap<string, Buffer>): PowerCutDisk {
    const disk = new PowerCutDisk(directory);
    for (const [path, bytes] of files) {
      const content = new Content();
      content.write(bytes, 0);
      content.sync();
      const folder = disk.#folders.get(dirname(path)) ?? new Folder();
      folder.isDurable = true;
      disk.#folders.set(dirname(path), folder);
      folder.change((entries) => entries.set(basename(path), content));
      folder.sync();
    }
    return disk;
  }

  open(path: string, flags: number): number {
    if (flags & constants.O_DIRECTORY) return this.#add(path, this.#folder(path));
    const folder = this.#folder(dirname(path));
    const found = folder.entries.get(basename(path));
    if (found !== undefined) {
      if (flags & constants.O_EXCL) throw failure("EEXIST");
      if (flags & constants.O_TRUNC) found.resize(0);
      return this.#add(path, found);
    }
    if (!(flags & constants.O_CREAT)) throw failure("ENOENT");
    this.beforeChange("create", path);
    const content = new Content();
    folder.change((entries) => entries.set(basename(path), content));
    return this.#add(path, content);
  }
  close(fd: number): void {
    if (!this.#open.delete(fd)) throw failure("EBADF");
  }
  read(fd: number, into: Uint8Array, offset: number, length: number, position: number): number {
    return this.#content(fd).data.copy(into, offset, position, position + length);
  }
  write(fd: number, from: Uint8Array, offset: number, length: number, position: number): number {
    const content = this.#content(fd);
    try {
      this.beforeChange("write", this.#path(fd));
    } catch (error) {
      // A part of it came through, in whole sectors.
      content.write(from.subarray(offset, offset + Math.floor(length / 1024) * 512), position);
      throw error;
    }
    content.write(from.subarray(offset, offset + length), position);
    return length;
  }
  syncData(fd: number): void {
    this.sync(fd);
  }
  /** A hint: nothing may rely on it. */
  beginWriting(): void {}
  sync(fd: number): void {
    const { path, content } = this.#file(fd);
    try {
      this.beforeChange("sync", path);
    } catch (error) {
      if (content instanceof Content) content.dirty.clear();
      throw error;
    }
    content.sync();
    if (content instanceof Folder)
      for (const [child, folder] of this.#folders) if (dirname(child) === path) folder.isDurable = true;
  }
  truncate(fd: number, sizeBytes: number): void {
    this.beforeChange("truncate", this.#path(fd));
    this.#content(fd).resize(sizeBytes);
  }
  chmod(fd: number): void {
    this.beforeChange("chmod", this.#path(fd));
  }
  size(fd: number): { isFile: boolean; sizeBytes: number; isNamed: boolean } {
    return { isFile: true, sizeBytes: this.#content(fd).data.length, isNamed: true };
  }
  allocate(fd: number, sizeBytes: number): string | undefined {
    try {
      this.beforeChange("allocate", this.#path(fd));
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    }
    const content = this.#content(fd);
    if (content.data.length < sizeBytes) content.resize(sizeBytes);
    return undefined;
  }
  rename(from: string, to: string): void {
    this.beforeChange("rename", from);
    const [source, target] = [this.#folder(dirname(from)), this.#folder(dirname(to))];
    const content = source.entries.get(basename(from));
    if (content === undefined) throw failure("ENOENT");
    const remove = (entries: Entries) => void entries.delete(basename(from));
    const add = (entries: Entries) => void entries.set(basename(to), content);
    if (source === target) {
      source.change((entries) => {
        remove(entries);
        add(entries);
      });
      return;
    }
    target.change(add);
    source.change(remove);
  }
  unlink(path: string): void {
    this.beforeChange("unlink", path);
    this.#folder(dirname(path)).change((entries) => void entries.delete(basename(path)));
  }
  exists(path: string): boolean {
    return this.#folders.has(path) || this.#folder(dirname(path)).entries.has(basename(path));
  }
  makeFolder(path: string): string | undefined {
    if (this.#folders.has(path)) return undefined;
    this.beforeChange("makeFolder", path);
    this.#folders.set(path, new Folder());
    return path;
  }

  #add(path: string, content: Content | Folder): number {
    this.#open.set(++this.#nextFd, { path, content });
    return this.#nextFd;
  }
  #folder(path: string): Folder {
    const folder = this.#folders.get(path);
    if (folder === undefined) throw failure("ENOENT");
    return folder;
  }
  #file(fd: number): { readonly path: string; readonly content: Content | Folder } {
    const file = this.#open.get(fd);
    if (file === undefined) throw failure("EBADF");
    return file;
  }
  #path(fd: number): string {
    return this.#file(fd).path;
  }
  #content(fd: number): Content {
    const { content } = this.#file(fd);
    if (content instanceof Content) return content;
    throw failure("EISDIR");
  }
}
