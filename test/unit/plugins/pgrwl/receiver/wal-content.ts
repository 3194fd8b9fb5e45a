/** WAL for tests: segments with the header of a real first page, and a body that differs everywhere. */
import { formatSegmentName } from "../../../../../plugins/common/postgres/wal-segments.ts";

export const mib = 2 ** 20;
export const ourSystem = "7388888888888888888";

export interface HeaderFields {
  readonly timeline: number;
  readonly number: number;
  readonly sizeBytes?: number;
  readonly systemIdentifier?: string;
}

/** The first 40 bytes of a segment as PostgreSQL 15 writes them on x86-64. */
export function headerOf({ timeline, number, sizeBytes = mib, systemIdentifier = ourSystem }: HeaderFields): Buffer {
  const header = Buffer.alloc(40);
  header.writeUInt16LE(0xd110, 0);
  header.writeUInt16LE(0x0002, 2);
  header.writeUInt32LE(timeline, 4);
  header.writeBigUInt64LE(BigInt(number) * BigInt(sizeBytes), 8);
  header.writeBigUInt64LE(BigInt(systemIdentifier), 24);
  header.writeUInt32LE(sizeBytes, 32);
  header.writeUInt32LE(8192, 36);
  return header;
}

/** The content of a whole segment; no byte of the body is zero, so that a byte that is missing shows. */
export function segmentOf(fields: HeaderFields): Buffer<ArrayBuffer> {
  const { timeline, number, sizeBytes = mib } = fields;
  const content = Buffer.alloc(sizeBytes);
  let state = (timeline * 0x9e3779b1 + number * 0x85ebca6b + 1) >>> 0;
  for (let at = 0; at < sizeBytes; at += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    content.writeUInt32LE((state | 0x01010101) >>> 0, at);
  }
  headerOf(fields).copy(content);
  return content;
}

/** Where a timeline leaves the one before it. */
export interface Fork {
  readonly timeline: number;
  readonly lsn: bigint;
}

/** The WAL of a server, whose later timelines begin with what the earlier ones had before the fork. */
export class ServerWal {
  readonly #forks: Fork[] = [];
  readonly #segments = new Map<string, Buffer>();

  get forks(): readonly Fork[] {
    return this.#forks;
  }
  fork(fork: Fork): void {
    this.#forks.push(fork);
  }

  /** A whole segment of 1 MiB, as it will be in the end. */
  segment(timeline: number, number: number): Buffer {
    const key = formatSegmentName({ timeline, number }, mib);
    const known = this.#segments.get(key);
    if (known) return known;
    const start = BigInt(number) * BigInt(mib);
    const content = segmentOf({ timeline, number });
    const fork = this.#forks.findLast((one) => one.timeline <= timeline);
    if (fork && fork.timeline === timeline && fork.lsn > start) {
      const common = Number(fork.lsn - start < BigInt(mib) ? fork.lsn - start : BigInt(mib));
      this.segment(timeline - 1, number).copy(content, 0, 0, common);
    }
    this.#segments.set(key, content);
    return content;
  }

  /** What the server sends from a position on; it may go across the end of a segment. */
  bytes(timeline: number, lsn: bigint, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    let done = 0;
    while (done < length) {
      const at = lsn + BigInt(done);
      const offset = Number(at % BigInt(mib));
      done += this.segment(timeline, Number(at / BigInt(mib))).copy(bytes, done, offset);
    }
    return bytes;
  }
}
