/** Load on one URL: as many requests as a number of clients can make in a time, and how long each took. */

export interface LoadResult {
  readonly requestsPerSecond: number;
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly requests: number;
  readonly bytes: number;
}

/** @param options.headers Sent with each request; the body is read to its end and not decompressed. */
export async function load(
  url: string,
  { seconds = 5, clients = 4, headers = {} as Record<string, string>, pauseMs = 0 } = {},
): Promise<LoadResult> {
  const times: number[] = [];
  let bytes = 0;
  const end = performance.now() + seconds * 1000;
  const client = async () => {
    while (performance.now() < end) {
      const startedAt = performance.now();
      const response = await fetch(url, { headers, decompress: false } as BunFetchRequestInit);
      const body = await response.arrayBuffer();
      if (response.status !== 200) throw new Error(`${url} answered ${response.status}`);
      times.push(performance.now() - startedAt);
      bytes = body.byteLength;
      if (pauseMs > 0) await Bun.sleep(pauseMs);
    }
  };
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: clients }, client));
  const took = (performance.now() - startedAt) / 1000;
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? Number.NaN;
  return { requestsPerSecond: times.length / took, medianMs: at(0.5), p99Ms: at(0.99), requests: times.length, bytes };
}

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
