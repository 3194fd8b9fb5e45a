/** What `/metrics` sends: the plugins' part made once after each change, the agent's own part after each, and each second. */
import { promisify } from "node:util";
import { constants, crc32, deflateRaw, deflateRawSync } from "node:zlib";

const deflate = promisify(deflateRaw);
/** Ten bytes that begin a gzip stream: magic, deflate, no name, no time, Unix. */
const gzipHead = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3);
/** Filters are few; more than this many different ones means that somebody plays. */
const mostCachedFilters = 16;
/** Age at which the agent's own part is made anew: `process_*` changes without anybody saying so. */
const mostOwnAgeMs = 1_000;

/** The plugins' part for one filter, plain and compressed as a piece that more may follow. */
class Part {
  readonly plain: Uint8Array;
  /** The whole page, while the agent's own part is young enough. */
  whole: Whole | undefined;
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

/** No page is in shared memory, which the types would allow. */
const bytesOf = (bytes: Uint8Array) => bytes as Uint8Array<ArrayBuffer>;

/** A page as it was at one moment. */
class Whole {
  readonly madeAt = performance.now();
  readonly #part: Part;
  readonly #own: Uint8Array;
  #plain: Blob | undefined;
  #gzip: Promise<Blob> | undefined;

  constructor(part: Part, own: string) {
    this.#part = part;
    this.#own = Buffer.from(own);
  }
  plain(): Blob {
    this.#plain ??= new Blob([bytesOf(this.#part.plain), bytesOf(this.#own)]);
    return this.#plain;
  }
  gzip(): Promise<Blob> {
    this.#gzip ??= this.#makeGzip();
    return this.#gzip;
  }
  async #makeGzip(): Promise<Blob> {
    const { bytes, crc } = await this.#part.compressed();
    const trailer = Buffer.alloc(8);
    trailer.writeUInt32LE(crc32(this.#own, crc), 0);
    trailer.writeUInt32LE((this.#part.plain.byteLength + this.#own.byteLength) % 2 ** 32, 4);
    return new Blob([gzipHead, bytes, deflateRawSync(this.#own), trailer].map(bytesOf));
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
  /** To be called when only something of the agent's own has changed. */
  invalidateOwn(): void {
    for (const part of this.#parts.values()) part.whole = undefined;
  }

  plain(instances?: ReadonlySet<string>): Blob {
    return this.#whole(instances).plain();
  }
  /** The page as one gzip member. */
  gzip(instances?: ReadonlySet<string>): Promise<Blob> {
    return this.#whole(instances).gzip();
  }

  #whole(instances: ReadonlySet<string> | undefined): Whole {
    const part = this.#part(instances);
    if (!part.whole || performance.now() - part.whole.madeAt > mostOwnAgeMs) {
      part.whole = new Whole(part, this.#own(instances));
    }
    return part.whole;
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
