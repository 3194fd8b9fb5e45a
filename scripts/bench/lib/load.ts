/** Load on one URL: as many requests as a number of clients can make in a time, and how long each took. */

export interface LoadResult {
  readonly requestsPerSecond: number;
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly requests: number;
  readonly bytes: number;
}

/**
 * Each client sends its next request when it has the whole answer, on one connection, and keeps nothing of it: at
 * megabytes an answer, a client that gathers the body would be what is measured.
 * @param options.headers Sent with each request.
 */
export async function load(
  url: string,
  { seconds = 5, clients = 4, headers = {} as Record<string, string>, pauseMs = 0 } = {},
): Promise<LoadResult> {
  const { hostname, port, host, pathname, search } = new URL(url);
  const lines = Object.entries({ Host: host, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  const request = Buffer.from(`GET ${pathname}${search} HTTP/1.1\r\n${lines.join("")}\r\n`);
  const times: number[] = [];
  let bytes = 0;
  const startedAt = performance.now();
  const end = startedAt + seconds * 1000;
  const client = async () => {
    let reader = new AnswerReader();
    const socket = await Bun.connect({
      hostname,
      port: Number(port),
      socket: {
        data: (_, chunk) => reader.take(chunk),
        close: () => reader.fail(new Error(`${url} closed the connection`)),
        error: (_, error) => reader.fail(error),
      },
    });
    while (performance.now() < end) {
      const sentAt = performance.now();
      reader = new AnswerReader();
      socket.write(request);
      bytes = await reader.whole;
      times.push(performance.now() - sentAt);
      if (pauseMs > 0) await Bun.sleep(pauseMs);
    }
    socket.end();
  };
  await Promise.all(Array.from({ length: clients }, client));
  const took = (performance.now() - startedAt) / 1000;
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? Number.NaN;
  return { requestsPerSecond: times.length / took, medianMs: at(0.5), p99Ms: at(0.99), requests: times.length, bytes };
}

/** Counts one answer of HTTP/1.1 to its end, whether it has a length or comes in chunks. */
class AnswerReader {
  readonly #end = Promise.withResolvers<number>();
  #head: Buffer | undefined = Buffer.alloc(0);
  /** Undefined: in chunks. */
  #length: number | undefined;
  #bytes = 0;
  #last = Buffer.alloc(0);

  /** Bytes of the body, when it has come whole. */
  get whole(): Promise<number> {
    return this.#end.promise;
  }
  fail(error: Error): void {
    this.#end.reject(error);
  }
  take(chunk: Buffer): void {
    if (!this.#head) {
      this.#count(chunk);
      return;
    }
    const head = Buffer.concat([this.#head, chunk]);
    const blank = head.indexOf("\r\n\r\n");
    if (blank < 0) {
      this.#head = head;
      return;
    }
    const text = head.toString("latin1", 0, blank);
    if (!text.startsWith("HTTP/1.1 200")) {
      this.fail(new Error(text.split("\r\n")[0]));
      return;
    }
    const length = /^content-length: (\d+)$/im.exec(text)?.[1];
    this.#length = length === undefined ? undefined : Number(length);
    this.#head = undefined;
    this.#count(head.subarray(blank + 4));
  }
  #count(chunk: Buffer): void {
    this.#bytes += chunk.byteLength;
    if (this.#length === undefined) {
      this.#last = Buffer.concat([this.#last, chunk.subarray(-5)]).subarray(-5);
      if (this.#last.equals(lastChunk)) this.#end.resolve(this.#bytes);
    } else if (this.#bytes >= this.#length) this.#end.resolve(this.#bytes);
  }
}

const lastChunk = Buffer.from("0\r\n\r\n");

/** A row of a result, for people. */
export function row(name: string, { requestsPerSecond, medianMs, p99Ms, bytes }: LoadResult): string {
  const columns = [
    name.padEnd(34),
    `${requestsPerSecond.toFixed(1)} req/s`.padStart(16),
    `median ${medianMs.toFixed(2)} ms`.padStart(18),
    `p99 ${p99Ms.toFixed(2)} ms`.padStart(16),
    `${(bytes / 1e6).toFixed(2)} MB`.padStart(10),
  ];
  return columns.join("  ");
}

export const print = (line = "") => void process.stdout.write(`${line}\n`);
