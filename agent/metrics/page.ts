/** What `/metrics` sends: the plugins' part made once after each change, the agent's own part made each time. */
import { promisify } from "node:util";
import { constants, crc32, deflateRaw, deflateRawSync } from "node:zlib";

const deflate = promisify(deflateRaw);
/** Ten bytes that begin a gzip stream: magic, deflate, no name, no time, Unix. */
const gzipHead = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3);
/** Filters are few; more than this many different ones means that somebody plays. */
const mostCachedFilters = 16;

/** The plugins' part for one filter, plain and compressed as a piece that more may follow. */
class Part {
  readonly plain: Uint8Array;
  #compressed: Promise<{ bytes: Uint8Array; crc: number }> | undefined;

  constructor(plain: Uint8Array) {
    this.plain = plain;
  }
  compressed(): Promise<{ bytes: Uint8Array; crc: number }> {
    this.#compressed ??= this.#compress();
    return this.#compressed;
  }
  async #compress() {
    // A sync flush ends at a byte and leaves the stream open: the agent's own part follows.
    const bytes = await deflate(this.plain, { finishFlush: constants.Z_SYNC_FLUSH });
    return { bytes, crc: crc32(this.plain) };
  }
}

/** The metrics page. A filter is a set of instance names; undefined means all. */
export class MetricsPage {
  readonly #plugins: (instances: ReadonlySet<string> | undefined) => Uint8Array;
  readonly #own: (instances: ReadonlySet<string> | undefined) => string;
  readonly #parts = new Map<string, Part>();

  constructor(sources: {
    plugins: (instances: ReadonlySet<string> | undefined) => Uint8Array;
    own: (instances: ReadonlySet<string> | undefined) => string;
  }) {
    this.#plugins = sources.plugins;
    this.#own = sources.own;
  }

  /** To be called when a snapshot has changed. */
  invalidate(): void {
    this.#parts.clear();
  }

  plain(instances?: ReadonlySet<string>): Uint8Array {
    return Buffer.concat([this.#part(instances).plain, Buffer.from(this.#own(instances))]);
  }

  /** The page as one gzip member. */
  async gzip(instances?: ReadonlySet<string>): Promise<Uint8Array> {
    const part = this.#part(instances);
    const { bytes, crc } = await part.compressed();
    const own = Buffer.from(this.#own(instances));
    const trailer = Buffer.alloc(8);
    trailer.writeUInt32LE(crc32(own, crc), 0);
    trailer.writeUInt32LE((part.plain.byteLength + own.byteLength) % 2 ** 32, 4);
    return Buffer.concat([gzipHead, bytes, deflateRawSync(own), trailer]);
  }

  #part(instances: ReadonlySet<string> | undefined): Part {
    const key = instances ? JSON.stringify([...instances].sort()) : "";
    let part = this.#parts.get(key);
    if (!part) {
      if (this.#parts.size >= mostCachedFilters) this.#parts.clear();
      part = new Part(this.#plugins(instances));
      this.#parts.set(key, part);
    }
    return part;
  }
}
