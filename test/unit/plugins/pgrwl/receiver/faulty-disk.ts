/** The real file system, of which single calls fail as a broken, full or protected disk lets them fail. */
import { type DiskCalls, realDisk } from "../../../../../plugins/pgrwl/receiver/disk.ts";

/** Calls of {@link DiskCalls}; `syncFolder` is a `sync` of a folder. */
export type Call = keyof DiskCalls | "syncFolder";

export interface Fault {
  readonly call: Call;
  /** Which call of this kind fails, from 0. */
  readonly nth: number;
  readonly code: string;
  /** Every later one fails too. */
  readonly stays?: boolean;
}

export class FaultyDisk implements DiskCalls {
  faults: Fault[] = [];
  /** How often each was called. */
  readonly counts = new Map<Call, number>();
  /** The most that one write writes. */
  mostBytes = Number.POSITIVE_INFINITY;
  readonly open_ = new Set<number>();

  #pass(call: Call): void {
    const count = this.counts.get(call) ?? 0;
    this.counts.set(call, count + 1);
    const fault = this.faults.find((one) => one.call === call && (one.stays ? count >= one.nth : count === one.nth));
    if (fault) throw Object.assign(new Error(`${fault.code}: injected`), { code: fault.code });
  }

  open(path: string, flags: number, mode?: number): number {
    this.#pass("open");
    const fd = realDisk.open(path, flags, mode);
    this.open_.add(fd);
    return fd;
  }
  close(fd: number): void {
    if (!this.open_.delete(fd)) throw new Error(`${fd} is not open`);
    realDisk.close(fd);
  }
  read(fd: number, into: Uint8Array, offset: number, length: number, position: number): number {
    this.#pass("read");
    return realDisk.read(fd, into, offset, Math.min(length, this.mostBytes), position);
  }
  write(fd: number, from: Uint8Array, offset: number, length: number, position: number): number {
    this.#pass("write");
    return realDisk.write(fd, from, offset, Math.min(length, this.mostBytes), position);
  }
  syncData(fd: number): void {
    this.#pass("syncData");
    realDisk.syncData(fd);
  }
  sync(fd: number): void {
    this.#pass(realDisk.size(fd).isFile ? "sync" : "syncFolder");
    realDisk.sync(fd);
  }
  beginWriting(fd: number, offset: number, sizeBytes: number): void {
    realDisk.beginWriting(fd, offset, sizeBytes);
  }
  truncate(fd: number, sizeBytes: number): void {
    this.#pass("truncate");
    realDisk.truncate(fd, sizeBytes);
  }
  chmod(fd: number, mode: number): void {
    this.#pass("chmod");
    realDisk.chmod(fd, mode);
  }
  size(fd: number): ReturnType<DiskCalls["size"]> {
    this.#pass("size");
    return realDisk.size(fd);
  }
  allocate(fd: number, sizeBytes: number): string | undefined {
    try {
      this.#pass("allocate");
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    }
    return realDisk.allocate(fd, sizeBytes);
  }
  rename(from: string, to: string): void {
    this.#pass("rename");
    realDisk.rename(from, to);
  }
  unlink(path: string): void {
    this.#pass("unlink");
    realDisk.unlink(path);
  }
  exists(path: string): boolean {
    this.#pass("exists");
    return realDisk.exists(path);
  }
  makeFolder(path: string, mode: number): string | undefined {
    this.#pass("makeFolder");
    return realDisk.makeFolder(path, mode);
  }
}
