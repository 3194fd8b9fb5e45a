/** Contents over SFTP: many requests at once, for each waits for a round trip. */
import type { SFTPWrapper } from "ssh2";
import type { SftpSession } from "./session.ts";

/** Bytes of one request; every server takes as many (draft-ietf-secsh-filexfer-02, section 3). */
const requestBytes = 32 * 1024;
/** Requests under way; OpenSSH's sftp has 64. */
const maxRequests = 64;

export type Handle = Parameters<SFTPWrapper["close"]>[0];

/** Writes from the start of a file. @throws Whatever the chunks throw; StorageError of the server, by which time nothing is under way. */
export async function writeAll(
  session: SftpSession,
  handle: Handle,
  chunks: AsyncIterable<Uint8Array>,
  what: string,
): Promise<void> {
  const window = new RequestWindow(maxRequests);
  let position = 0;
  try {
    for await (const chunk of chunks) {
      const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      for (let offset = 0; offset < bytes.length; offset += requestBytes) {
        const length = Math.min(requestBytes, bytes.length - offset);
        await window.enter();
        const at = position;
        window.track(
          session.request(what, (sftp, callback) =>
            sftp.write(handle, bytes, offset, length, at, (error) => callback(error, undefined)),
          ),
        );
        position += length;
      }
    }
  } finally {
    await window.drained();
  }
  window.check();
}

/** Gives a file's bytes from `start` up to `end`, in order; read ahead. Short where the file is shorter. */
export class Reader {
  readonly #session: SftpSession;
  readonly #handle: Handle;
  readonly #what: string;
  readonly #end: number;
  readonly #ahead: Promise<Uint8Array>[] = [];
  #position: number;

  constructor(session: SftpSession, handle: Handle, { start, end }: { start: number; end: number }, what: string) {
    this.#session = session;
    this.#handle = handle;
    this.#what = what;
    this.#position = start;
    this.#end = end;
  }

  /** The next bytes; undefined at the end. */
  async read(): Promise<Uint8Array | undefined> {
    while (this.#ahead.length < maxRequests && this.#position < this.#end) {
      const length = Math.min(requestBytes, this.#end - this.#position);
      const bytes = this.#readAt(this.#position, length);
      bytes.catch(() => {});
      this.#ahead.push(bytes);
      this.#position += length;
    }
    const bytes = await this.#ahead.shift();
    return bytes === undefined || bytes.byteLength === 0 ? undefined : bytes;
  }

  /** Waits until nothing is under way: a handle must not be closed before. */
  async settled(): Promise<void> {
    this.#position = this.#end;
    await Promise.allSettled(this.#ahead.splice(0));
  }

  /** A server may give less than was asked for, before the end too. */
  async #readAt(position: number, length: number): Promise<Uint8Array> {
    const buffer = Buffer.allocUnsafeSlow(length);
    let filled = 0;
    while (filled < length) {
      const count = await this.#session.request<number>(this.#what, (sftp, callback) =>
        sftp.read(this.#handle, buffer, filled, length - filled, position + filled, callback),
      );
      if (count === 0) break;
      filled += count;
    }
    return buffer.subarray(0, filled);
  }
}

/** Bounds how many promises are under way, and remembers the first failure. */
class RequestWindow {
  #free: number;
  readonly #size: number;
  #waiting: PromiseWithResolvers<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(size: number) {
    this.#size = size;
    this.#free = size;
  }

  /** Waits for room. @throws The first failure. */
  async enter(): Promise<void> {
    while (this.#free === 0 && this.#failure === undefined) await this.#change();
    this.check();
    this.#free--;
  }

  track(work: Promise<unknown>): void {
    const settle = () => {
      this.#free++;
      this.#waiting?.resolve();
      this.#waiting = undefined;
    };
    work.then(settle, (error: unknown) => {
      this.#failure ??= { error };
      settle();
    });
  }

  async drained(): Promise<void> {
    while (this.#free < this.#size) await this.#change();
  }

  check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #change(): Promise<void> {
    this.#waiting ??= Promise.withResolvers<void>();
    return this.#waiting.promise;
  }
}
