/**
 * WAL on disk, as pg_receivewal leaves it: whole segments under their names, the one being received as `NAME.partial`
 * in full size with a tail of zeros.
 */
import { basename, dirname, join } from "node:path";
import { formatLsn } from "../../common/postgres/lsn.ts";
import { parseSegmentHeader, segmentHeaderBytes } from "../../common/postgres/segment-header.ts";
import { formatSegmentName, segmentAt, type WalSegment } from "../../common/postgres/wal-segments.ts";
import { belongs } from "./directory.ts";
import { type Disk, DiskError } from "./disk.ts";
import { GapError } from "./gaps.ts";

export interface WalFilesOptions {
  readonly directory: string;
  readonly segmentSizeBytes: number;
  /** Of the segments' files: 0o600, or 0o640 where the server lets its group read. */
  readonly mode: number;
  readonly systemIdentifier: string;
  /**
   * Whether WAL that comes again must be what came before. Not from a standby: behind a switch of segments it may send what
   * its recycled file held before, which nobody ever reads.
   */
  readonly mustRepeat: boolean;
  readonly disk: Disk;
  /** How far the server's WAL reaches, as far as is known. */
  readonly serverLsn: () => bigint;
  /** A segment has its final name, durably. */
  readonly onSegment: (name: string) => void;
  /** A file stood in the way and was moved. */
  readonly onSetAside: (file: string, reason: string) => void;
}

interface OpenFile {
  readonly fd: number;
  readonly name: string;
  readonly path: string;
  /** It held WAL before: what comes again must be the same. */
  readonly hasContent: boolean;
}

/** Where files go that stand in the way: nothing that was durable is ever overwritten by something else, or deleted. */
const asideFolder = "set-aside";

/** In a torrent the disk is told of so much at a time. */
const writeAheadBytes = 2 ** 20;
/** Real zeros are written once more than reserved space, and make each sync of what is written over them cheaper. */
const fewestFlushesForZeros = 256;
/** Zeros in larger segments would hold up commits for longer than they ever save. */
const mostZeroBytes = 64 * 2 ** 20;

export class WalFiles {
  readonly #options: WalFilesOptions;
  readonly #disk: Disk;
  readonly #segmentSize: bigint;
  #timeline = 0;
  #file: OpenFile | undefined;
  /** Of the next byte. */
  #written = 0n;
  #flushed = 0n;
  #offset = 0;
  #compared: Buffer | undefined;
  /** Offset in the open segment up to which the disk is to write, or has written. */
  #begunTo = 0;
  /** Flushes of the open segment, and of the one before: how its WAL comes. */
  #flushes = 0;
  #flushesBefore = Number.POSITIVE_INFINITY;
  /** What a sync of the open file failed with. */
  #lost: unknown;

  constructor(options: WalFilesOptions) {
    this.#options = options;
    this.#disk = options.disk;
    this.#segmentSize = BigInt(options.segmentSizeBytes);
  }

  /** Position after the last byte written. */
  get written(): bigint {
    return this.#written;
  }
  /** Everything before this position survives a crash of this machine. */
  get flushed(): bigint {
    return this.#flushed;
  }

  /** Makes ready for WAL of a timeline from a segment's first byte on, which is also the first position to be reported. */
  begin(timeline: number, lsn: bigint): void {
    if (lsn % this.#segmentSize !== 0n)
      throw new RangeError(`Cannot receive from ${formatLsn(lsn)}: it is no segment's first byte`);
    this.close();
    this.#lost = undefined;
    this.#timeline = timeline;
    this.#written = lsn;
    this.#flushed = lsn;
    this.#offset = 0;
    this.#begunTo = 0;
  }

  /**
   * Writes WAL that follows what was written before. Each segment that it completes is flushed and gets its name.
   * @param at Where the WAL begins in `bytes`.
   * @throws {DiskError} @throws {GapError} The file holds other WAL at this position.
   */
  append(lsn: bigint, bytes: Uint8Array, at: number): void {
    if (lsn !== this.#written)
      throw new RangeError(
        `Cannot write WAL of ${formatLsn(lsn)}: ${formatLsn(this.#written)} was to come next; the server broke the protocol`,
      );
    let from = at;
    while (from < bytes.length) {
      const file = this.#file ?? this.#open();
      const count = Math.min(bytes.length - from, this.#options.segmentSizeBytes - this.#offset);
      if (file.hasContent) this.#compare(file, bytes, from, count);
      this.#disk.write(file.fd, file.path, bytes, from, count, this.#offset);
      from += count;
      this.#offset += count;
      this.#written += BigInt(count);
      if (this.#offset - this.#begunTo >= writeAheadBytes) this.#beginWriting(file);
      if (this.#offset === this.#options.segmentSizeBytes) this.#complete(file);
    }
  }

  /** @throws {DiskError} Nothing more is known to be durable; the segment has to be received again. */
  flush(): void {
    if (this.#file === undefined || this.#flushed === this.#written) return;
    this.#sync(this.#file);
    this.#flushed = this.#written;
    this.#flushes += 1;
    this.#begunTo = this.#offset;
  }

  /** In a torrent, the disk works while the next WAL comes. */
  #beginWriting(file: OpenFile): void {
    this.#disk.beginWriting(file.fd, this.#begunTo, this.#offset - this.#begunTo);
    this.#begunTo = this.#offset;
  }

  /** Once a sync has failed, a second one may succeed without what the first has lost: the kernel has dropped it. */
  #sync(file: OpenFile): void {
    if (this.#lost) throw this.#lost;
    try {
      this.#disk.syncData(file.fd, file.path);
    } catch (error) {
      this.#lost = error;
      throw error;
    }
  }

  /** @throws {DiskError} Somebody has deleted the file that is being written: what is acknowledged in it would go with it. */
  checkPlace(): void {
    if (this.#file === undefined) return;
    const { fd, path } = this.#file;
    if (!this.#disk.about(fd, path).isNamed)
      throw new DiskError("go on with", path, new Error("it was deleted; its segment is received again"));
  }

  /** Closes the file, which stays partial. What is not flushed is not promised either. */
  close(): void {
    if (this.#file === undefined) return;
    this.#disk.close(this.#file.fd);
    this.#file = undefined;
  }

  /**
   * Moves a file out of the way, into a folder of its own.
   * @param file Its path below the receive folder.
   */
  setAside(file: string, reason: string): void {
    const { directory, onSetAside } = this.#options;
    const folder = join(directory, asideFolder);
    const path = join(directory, file);
    this.#disk.makeFolder(folder, 0o750);
    let at = Date.now();
    const place = () => join(folder, `${basename(file)}.${at}`);
    while (this.#disk.isThere(place())) at++;
    this.#disk.rename(path, place());
    this.#disk.syncFolder(folder);
    this.#disk.syncFolder(dirname(path));
    onSetAside(file, reason);
  }

  #open(): OpenFile {
    const { directory, segmentSizeBytes } = this.#options;
    const segment = { timeline: this.#timeline, number: segmentAt(this.#written, segmentSizeBytes) };
    const name = formatSegmentName(segment, segmentSizeBytes);
    const path = join(directory, `${name}.partial`);
    const found = this.#reopen(path, segment, name);
    const fd = found?.fd ?? this.#create(path);
    this.#file = { fd, name, path, hasContent: this.#options.mustRepeat && (found?.hasContent ?? false) };
    return this.#file;
  }

  /** The `.partial` of before; undefined when there is none, or it was none and has been moved. */
  #reopen(path: string, segment: WalSegment, name: string): { fd: number; hasContent: boolean } | undefined {
    const { directory, segmentSizeBytes } = this.#options;
    const fd = this.#disk.reopen(path);
    if (fd === undefined) return undefined;
    if (fd === "no file") {
      this.setAside(`${name}.partial`, "it is no regular file");
      return undefined;
    }
    let isOpen = true;
    try {
      const { isFile, sizeBytes } = this.#disk.about(fd, path);
      const head = Buffer.alloc(segmentHeaderBytes);
      const length = isFile ? this.#disk.read(fd, path, head, 0) : 0;
      const header = parseSegmentHeader(head);
      const isEmpty = head.every((byte) => byte === 0);
      const reason = !isFile
        ? "it is no regular file"
        : sizeBytes > segmentSizeBytes
          ? `its size is ${sizeBytes}, above ${segmentSizeBytes}`
          : length === segmentHeaderBytes && !isEmpty && !(header && this.#isOurs(header, segment))
            ? "its content is not that of this segment"
            : undefined;
      if (reason !== undefined) {
        this.#disk.close(fd);
        isOpen = false;
        this.setAside(`${name}.partial`, reason);
        return undefined;
      }
      this.#disk.complete(fd, path, sizeBytes, segmentSizeBytes);
      // Somebody else may have created it, or we, just before a crash.
      this.#disk.sync(fd, path);
      this.#disk.syncFolder(directory);
      return { fd, hasContent: sizeBytes > 0 };
    } catch (error) {
      if (isOpen) this.#disk.close(fd);
      throw error;
    }
  }

  #isOurs(header: NonNullable<ReturnType<typeof parseSegmentHeader>>, segment: WalSegment): boolean {
    const { systemIdentifier, segmentSizeBytes } = this.#options;
    return header.systemIdentifier === systemIdentifier && belongs(header, segment, segmentSizeBytes);
  }

  /** Space, size and name are durable before anything is written: an acknowledged byte is in a file that exists. */
  #create(path: string): number {
    const { directory, segmentSizeBytes, mode } = this.#options;
    const fd = this.#disk.create(path, mode);
    try {
      this.#disk.fill(fd, path, segmentSizeBytes, this.#isWorthZeros());
      this.#disk.sync(fd, path);
      this.#disk.syncFolder(directory);
      return fd;
    } catch (error) {
      this.#disk.close(fd);
      try {
        // Without content it is in the way of whoever makes room.
        this.#disk.unlink(path);
      } catch {}
      throw error;
    }
  }

  /** WAL that comes commit by commit is flushed often; in a torrent, or when the whole segment waits on the server, seldom. */
  #isWorthZeros(): boolean {
    const { segmentSizeBytes, serverLsn } = this.#options;
    if (segmentSizeBytes > mostZeroBytes || serverLsn() >= this.#written + this.#segmentSize) return false;
    return this.#flushesBefore >= fewestFlushesForZeros;
  }

  /** A server whose WAL differs from what was received before is not the server that it was, or was set back in time. */
  #compare(file: OpenFile, bytes: Uint8Array, from: number, count: number): void {
    if (this.#compared === undefined || this.#compared.length < count) this.#compared = Buffer.allocUnsafe(count);
    const before = this.#compared.subarray(0, this.#readBefore(file, this.#compared.subarray(0, count)));
    const now = bytes.subarray(from, from + before.length);
    if (before.equals(now)) return;
    // What was never received is zeros.
    const at = before.findIndex((byte, index) => byte !== 0 && byte !== now[index]);
    if (at === -1) return;
    throw new GapError(
      "diverged",
      `Cannot go on with ${file.path}: from ${formatLsn(this.#written + BigInt(at))} on the server sends other WAL than it sent before; ` +
        "it was set back in time, or the file was damaged",
      { file: `${file.name}.partial` },
    );
  }

  #readBefore(file: OpenFile, into: Uint8Array): number {
    return this.#disk.read(file.fd, file.path, into, this.#offset);
  }

  #complete(file: OpenFile): void {
    const { directory, onSegment } = this.#options;
    this.#sync(file);
    const final = join(directory, file.name);
    this.#makeWay(file, final);
    this.#disk.close(file.fd);
    this.#file = undefined;
    this.#disk.rename(file.path, final);
    this.#disk.syncFolder(directory);
    this.#flushed = this.#written;
    this.#offset = 0;
    this.#begunTo = 0;
    this.#flushesBefore = this.#flushes;
    this.#flushes = 0;
    onSegment(file.name);
  }

  /** A file of the final name may be replaced by its equal only. */
  #makeWay(file: OpenFile, final: string): void {
    const found = this.#disk.openToRead(final);
    if (found === undefined) return;
    const reason = found === "no file" ? "it is no regular file" : this.#whyInTheWay(found, file, final);
    if (reason !== undefined) this.setAside(file.name, reason);
  }

  /** @returns Undefined when it is the same. @throws {GapError} */
  #whyInTheWay(fd: number, file: OpenFile, final: string): string | undefined {
    const { segmentSizeBytes } = this.#options;
    try {
      const { isFile, sizeBytes } = this.#disk.about(fd, final);
      if (!isFile) return "it is no regular file";
      if (sizeBytes !== segmentSizeBytes) return `its size is ${sizeBytes}, not ${segmentSizeBytes}`;
      if (this.#areEqual([fd, final], [file.fd, file.path])) return undefined;
    } finally {
      this.#disk.close(fd);
    }
    throw new GapError(
      "diverged",
      `Cannot complete ${final}: it is there already, with other WAL than the server sends now; the server was set back in time`,
      { file: file.name },
    );
  }

  #areEqual([oneFd, onePath]: [number, string], [otherFd, otherPath]: [number, string]): boolean {
    const size = Math.min(this.#options.segmentSizeBytes, 2 ** 20);
    const one = Buffer.allocUnsafe(size);
    const other = Buffer.allocUnsafe(size);
    for (let at = 0; at < this.#options.segmentSizeBytes; at += size) {
      this.#disk.read(oneFd, onePath, one, at);
      this.#disk.read(otherFd, otherPath, other, at);
      if (!one.equals(other)) return false;
    }
    return true;
  }
}
