/** One direction of a proxied connection. */
import type { Socket } from "node:net";

/** How much waits for its time before the source is paused. */
const mostQueuedBytes = 4 * 2 ** 20;

export interface PipeOptions {
  readonly delayMs: number;
  readonly chunkBytes: number | (() => number);
  readonly limitBytes: number;
  readonly replacements: readonly { readonly from: Uint8Array; readonly to: Uint8Array }[];
  /** The limit is reached, and the bytes up to it are written. */
  onLimit(): void;
}

export class ProxyPipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #options: PipeOptions;
  readonly #queue: { bytes: Buffer; dueAt: number }[] = [];
  readonly #pending: { from: Uint8Array; to: Uint8Array }[];
  #queuedBytes = 0;
  #passedBytes = 0;
  #ended = false;
  #stopped = false;
  #pumping = false;
  #stalled: PromiseWithResolvers<void> | undefined;
  /** The end of what arrived that may be the beginning of what is to be replaced. */
  #held: Buffer = Buffer.alloc(0);

  constructor(from: Socket, to: Socket, options: PipeOptions) {
    this.#from = from;
    this.#to = to;
    this.#options = options;
    this.#pending = [...options.replacements];
    if (options.limitBytes === 0) setImmediate(() => options.onLimit());
    from.on("data", (bytes: Buffer) => this.#take(bytes));
    from.on("end", () => {
      this.#ended = true;
      void this.#pump();
    });
  }

  get passedBytes(): number {
    return this.#passedBytes;
  }

  stall(): void {
    this.#stalled ??= Promise.withResolvers();
  }

  resume(): void {
    this.#stalled?.resolve();
    this.#stalled = undefined;
  }

  stop(): void {
    this.#stopped = true;
    this.resume();
  }

  #take(arrived: Buffer): void {
    const bytes = this.#replace(arrived);
    if (bytes.length === 0) return;
    this.#queue.push({ bytes, dueAt: performance.now() + this.#options.delayMs });
    this.#queuedBytes += bytes.length;
    if (this.#queuedBytes > mostQueuedBytes) this.#from.pause();
    void this.#pump();
  }

  #replace(arrived: Buffer): Buffer {
    if (this.#pending.length === 0) return arrived;
    const bytes = Buffer.concat([this.#held, arrived]);
    for (const replacement of [...this.#pending]) {
      const at = bytes.indexOf(replacement.from);
      if (at < 0) continue;
      bytes.set(replacement.to, at);
      this.#pending.splice(this.#pending.indexOf(replacement), 1);
    }
    const held = Math.max(0, ...this.#pending.map(({ from }) => overlap(bytes, from)));
    this.#held = bytes.subarray(bytes.length - held);
    return bytes.subarray(0, bytes.length - held);
  }

  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    for (let next = this.#queue.shift(); next !== undefined && !this.#stopped; next = this.#queue.shift()) {
      const waitMs = next.dueAt - performance.now();
      if (waitMs > 0) await Bun.sleep(waitMs);
      await this.#pass(next.bytes);
      this.#queuedBytes -= next.bytes.length;
      if (this.#queuedBytes <= mostQueuedBytes) this.#from.resume();
    }
    this.#pumping = false;
    if (this.#ended && !this.#stopped) this.#to.end(this.#held);
  }

  async #pass(bytes: Buffer): Promise<void> {
    const { chunkBytes, limitBytes, onLimit } = this.#options;
    for (let rest = bytes; rest.length > 0; ) {
      while (this.#stalled) await this.#stalled.promise;
      if (this.#stopped) return;
      const most = typeof chunkBytes === "number" ? chunkBytes : chunkBytes();
      const size = Math.min(rest.length, most, limitBytes - this.#passedBytes);
      await this.#write(rest.subarray(0, size));
      this.#passedBytes += size;
      rest = rest.subarray(size);
      if (this.#passedBytes >= limitBytes) {
        onLimit();
        return;
      }
      // Without a turn of the event loop the system would join the pieces.
      if (rest.length > 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #write(bytes: Buffer): Promise<void> {
    if (this.#to.destroyed) return Promise.resolve();
    return new Promise((resolve) => this.#to.write(bytes, () => resolve()));
  }
}

/** How many bytes at the end of `bytes` are a beginning of `pattern`. */
function overlap(bytes: Buffer, pattern: Uint8Array): number {
  for (let length = Math.min(bytes.length, pattern.length - 1); length > 0; length--) {
    if (bytes.subarray(bytes.length - length).equals(pattern.subarray(0, length))) return length;
  }
  return 0;
}
