/** Downloads a snapshot, goes on where a connection breaks, and believes nothing but the digest. */
import type { Output } from "./output.ts";
import type { Progress } from "./progress.ts";
import { reasonOf, ServerError, type SnapshotServer } from "./server.ts";

export interface DownloadOptions {
  readonly name: string;
  readonly format: string;
  readonly progress: Progress;
  readonly say: (message: string) => void;
  /** Silence of the server after which the connection counts as broken. */
  readonly silenceMs: number;
}

/** What is known of an archive that was not completed, to go on with it. */
export interface Received {
  readonly bytes: number;
  readonly etag: string | undefined;
  readonly hash: Bun.CryptoHasher;
}

/** The archive cannot be had; what came so far is of use only with the ETag. */
export class DownloadError extends Error {
  override readonly name = "DownloadError";
  readonly received: Received | undefined;

  constructor(message: string, received?: Received, cause?: unknown) {
    super(message, { cause });
    this.received = received;
  }
}

const mostAttempts = 6;
const firstPauseMs = 500;
const statusDeadlineMs = 10_000;
/** As long as the reading of another large snapshot may take. */
const digestDeadlineMs = 30 * 60_000;
/** Failures of a connection, not of an archive: the server says these when it was the client who went away. */
const connectionFailures = /the client went away|the client took nothing|broken pipe|connection reset/;

/** One answer of the server, as far as it came. */
interface Answer {
  readonly response: Response;
  readonly id: string;
  readonly etag: string | undefined;
  readonly totalBytes: number | undefined;
}

export class Download {
  readonly #server: SnapshotServer;
  readonly #options: DownloadOptions;
  #bytes = 0;
  #hash = new Bun.CryptoHasher("sha256");
  #etag: string | undefined;
  #wasResumed = false;

  constructor(server: SnapshotServer, options: DownloadOptions, received?: Received) {
    this.#server = server;
    this.#options = options;
    if (!received) return;
    this.#bytes = received.bytes;
    this.#hash = received.hash;
    this.#etag = received.etag;
    this.#wasResumed = true;
    options.progress.add(received.bytes);
  }

  /**
   * @param openOutput Called with the file name that the server suggests, once it has answered.
   * @throws {DownloadError} Not whole, or not what the server sent. @throws {ServerError} It was refused.
   */
  async run(openOutput: (suggested: string) => Promise<Output>): Promise<void> {
    let output: Output | undefined;
    for (let attempt = 1; ; attempt++) {
      const before = this.#bytes;
      let answer: Answer | undefined;
      try {
        answer = await this.#ask();
        if (answer === undefined) return this.#compare(await this.#wholeDigest());
        output ??= await openOutput(suggestedName(answer.response));
        await this.#receive(answer, output);
        await this.#check(answer);
        return;
      } catch (error) {
        if (!(error instanceof BrokenConnection) && !(error instanceof ServerError && error.status === undefined))
          throw error;
        if (answer) await this.#explain(answer, error);
        if (this.#bytes > before) attempt = 1;
        if (this.#etag === undefined || attempt >= mostAttempts)
          throw new DownloadError(error.message, this.#received(), error);
        this.#options.say(`${error.message}, going on after ${this.#bytes} bytes`);
        this.#wasResumed = true;
        await Bun.sleep(firstPauseMs * 2 ** (attempt - 1));
      }
    }
  }

  #received(): Received | undefined {
    return this.#etag === undefined ? undefined : { bytes: this.#bytes, etag: this.#etag, hash: this.#hash };
  }

  /** @returns Undefined: all of it came before, and only the digest is missing. */
  async #ask(): Promise<Answer | undefined> {
    const { name, format, progress } = this.#options;
    const isResumption = this.#bytes > 0 && this.#etag !== undefined;
    const headers: Record<string, string> = isResumption
      ? { Range: `bytes=${this.#bytes}-`, "If-Range": this.#etag ?? "" }
      : {};
    const wanted = isResumption ? [200, 206, 416] : [200, 206];
    const response = await this.#server.request("GET", "api/download", { name, format }, { headers }, wanted);
    if (isResumption && response.status !== 206) {
      await response.body?.cancel();
      if (response.status === 416 && response.headers.get("content-range") === `bytes */${this.#bytes}`)
        return undefined;
      throw new DownloadError("the snapshot has changed since: begin anew");
    }
    const id = response.headers.get("x-prombackup-download-id") ?? "";
    if (id === "") throw new DownloadError("the server's answer has no download id: it is no prombackup server");
    const length = response.headers.get("content-length") ?? response.headers.get("x-prombackup-content-length");
    const totalBytes = length === null ? undefined : this.#bytes + Number(length);
    if (totalBytes !== undefined) progress.totalBytes = totalBytes;
    const canResume = response.headers.get("accept-ranges") === "bytes";
    this.#etag = canResume ? (response.headers.get("etag") ?? undefined) : undefined;
    return { response, id, etag: this.#etag, totalBytes };
  }

  async #receive({ response, totalBytes }: Answer, output: Output): Promise<void> {
    const reader = response.body?.getReader();
    if (!reader) return;
    const { silenceMs, progress } = this.#options;
    try {
      for (;;) {
        const { done, value } = await withDeadline(reader.read(), silenceMs);
        if (done) break;
        this.#hash.update(value);
        this.#bytes += value.length;
        progress.add(value.length);
        await writing(output.write(value), output);
      }
    } catch (error) {
      await reader.cancel().catch(() => {});
      if (error instanceof DownloadError) throw error;
      throw new BrokenConnection(`reading the archive failed: ${reasonOf(error)}`, { cause: error });
    }
    if (totalBytes !== undefined && this.#bytes !== totalBytes) {
      throw new BrokenConnection(`the archive ended after ${this.#bytes} of ${totalBytes} bytes`);
    }
  }

  /** A clean end proves nothing: the original ends cleanly whatever happened. */
  async #check({ id }: Answer): Promise<void> {
    const status = await this.#finalStatus(id);
    if (!status.success) throw new DownloadError(failure(status.errorText));
    this.#compare(this.#wasResumed ? await this.#wholeDigest() : status.sha256Hex);
  }

  /** @throws {DownloadError} What came has another digest. */
  #compare(remote: string): void {
    const local = this.#hash.copy().digest("hex");
    if (remote !== local) {
      throw new DownloadError(`download failed: SHA256 checksum mismatch (got ${local}, want ${remote})`);
    }
  }

  async #finalStatus(id: string) {
    const end = performance.now() + statusDeadlineMs;
    for (;;) {
      const status = await this.#server.downloadStatus(id);
      if (status) return status;
      if (performance.now() > end) throw new DownloadError("download not finished: the server still says that it runs");
      await Bun.sleep(100);
    }
  }

  /** The status is about one answer; what came in pieces is compared with the whole. */
  async #wholeDigest(): Promise<string> {
    const answer = await this.#askForDigest();
    if (answer.etag !== this.#etag) throw new DownloadError("the snapshot has changed since: begin anew");
    return String(answer.sha256_hex);
  }

  /** The server reads one snapshot at a time for who asks. */
  async #askForDigest(): Promise<Record<string, unknown>> {
    const end = performance.now() + digestDeadlineMs;
    for (;;) {
      try {
        const { name } = this.#options;
        return (await this.#server.json("GET", "api/digest", { name })) as Record<string, unknown>;
      } catch (error) {
        if (!(error instanceof ServerError) || error.status !== 503 || performance.now() > end) throw error;
      }
      await Bun.sleep(1000);
    }
  }

  /** @throws {DownloadError} It was the archive that failed: going on would fail again. */
  async #explain({ id }: Answer, error: Error): Promise<void> {
    const status = await this.#server.downloadStatus(id).catch(() => undefined);
    if (!status || status.success || connectionFailures.test(status.errorText ?? "")) return;
    if (status.errorText === "the server was stopped") return;
    throw new DownloadError(failure(status.errorText), undefined, error);
  }
}

class BrokenConnection extends Error {
  override readonly name = "BrokenConnection";
}

const failure = (errorText: string | null) => (errorText ? `download failed: ${errorText}` : "download failed");

async function writing(done: Promise<void>, output: Output): Promise<void> {
  try {
    await done;
  } catch (cause) {
    const { code } = cause as { code?: string };
    throw new DownloadError(`Cannot write to ${output.shown}: ${code ?? String(cause)}`, undefined, cause);
  }
}

async function withDeadline<T>(promise: Promise<T>, milliseconds: number): Promise<T> {
  const deadline = Promise.withResolvers<never>();
  const timer = setTimeout(() => deadline.reject(new Error(`nothing came for ${milliseconds / 1000} s`)), milliseconds);
  try {
    return await Promise.race([promise, deadline.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** The last element of the name that the server suggests. @throws {DownloadError} It suggests none. */
function suggestedName(response: Response): string {
  const header = response.headers.get("content-disposition") ?? "";
  const extended = /;\s*filename\*\s*=\s*UTF-8''([^;\s]+)/i.exec(header)?.[1];
  const quoted = /;\s*filename\s*=\s*"((?:[^"\\]|\\.)*)"/i.exec(header)?.[1]?.replace(/\\(.)/g, "$1");
  const token = /;\s*filename\s*=\s*([^\s;"]+)/i.exec(header)?.[1];
  const name = extended === undefined ? (quoted ?? token) : decoded(extended);
  const base = name?.split(/[/\\]/).at(-1) ?? "";
  if (!/^\s*attachment\s*;/i.test(header) || base === "" || base === "." || base === "..") {
    throw new DownloadError("the server suggests no file name: it is no prombackup server");
  }
  return base;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
