/** A bucket of an S3 server, or what lies below one prefix of it, as a storage. */
import { createHash } from "node:crypto";
import { measure } from "../content.ts";
import { checkRange, clampRange, downloadStream } from "../download.ts";
import { StorageError } from "../errors.ts";
import { checkName, folderPrefix } from "../names.ts";
import { probe } from "../probe.ts";
import type {
  Content,
  Download,
  GetOptions,
  ListOptions,
  OperationOptions,
  PutOptions,
  PutResult,
  RemoveOptions,
  Storage,
  StoredObject,
} from "../storage.ts";
import { type S3Answer, S3Client, type S3Request, type S3Target } from "./client.ts";
import { connectionError, skewSeconds } from "./failures.ts";
import { listObjects, listUploads, listVersions, type Version } from "./listings.ts";
import { etagOf, upload } from "./upload.ts";
import { elements, escapeXml, textOf } from "./xml.ts";

export interface S3Options extends S3Target {
  /** Without slashes at its ends; may be empty. */
  readonly prefix: string;
  readonly partBytes: number;
  /** In a versioned bucket, delete what deleted objects leave behind as well. */
  readonly deleteAllVersions: boolean;
}

/** What one DeleteObjects request takes. */
const deleteBatch = 1000;

export class S3Storage implements Storage {
  readonly description: string;
  readonly #client: S3Client;
  readonly #options: S3Options;
  /** `""`, or the prefix and a slash. */
  readonly #prefix: string;
  readonly #closing = new AbortController();

  constructor(options: S3Options) {
    this.#options = options;
    this.#client = new S3Client(options);
    this.#prefix = options.prefix === "" ? "" : `${options.prefix}/`;
    this.description = `s3://${options.bucket}${options.prefix === "" ? "" : `/${options.prefix}`}`;
  }

  async put(name: string, content: Content, options: PutOptions = {}): Promise<PutResult> {
    const key = this.#key(name);
    const signal = this.#signal(options);
    const measured = measure(content, { ...options, signal });
    try {
      // Not every server knows conditional writes: those of one client at least are noticed so.
      if (options.ifAbsent && (await this.stat(name, { signal })) !== undefined) {
        throw new StorageError("exists", `Cannot write ${this.#url(key)}: there is such an object`);
      }
      const { partBytes } = this.#options;
      const { etag, modified, sha256 } = await upload(this.#client, key, measured, { ...options, signal, partBytes });
      return { name, sizeBytes: measured.sizeBytes(), modified, sha256, ...(etag === undefined ? {} : { etag }) };
    } finally {
      await measured.chunks.return(undefined);
    }
  }

  async get(name: string, { range, signal }: GetOptions = {}): Promise<Download> {
    checkRange(range);
    const key = this.#key(name);
    // S3 has no word for an empty range.
    if (range !== undefined && range.end === range.start) {
      const object = await this.stat(name, { ...(signal === undefined ? {} : { signal }) });
      if (object === undefined) throw this.#absent(key);
      const { start, end } = clampRange(range, object.sizeBytes);
      if (start === end) return { object, sizeBytes: 0, stream: new Blob([]).stream() };
    }
    const headers: Record<string, string> = {};
    if (range !== undefined) headers.range = `bytes=${range.start}-${range.end === undefined ? "" : range.end - 1}`;
    const request: S3Request = {
      method: "GET",
      what: `read ${this.#url(key)}`,
      key,
      headers,
      signal: this.#signal({ signal }),
    };
    let answer: S3Answer;
    try {
      answer = await this.#client.open(request);
    } catch (error) {
      const object =
        range === undefined || !isUnsatisfiable(error)
          ? undefined
          : await this.stat(name, { ...(signal === undefined ? {} : { signal }) });
      if (object === undefined) throw error;
      return { object, sizeBytes: 0, stream: new Blob([]).stream() };
    }
    return this.#download(name, request, answer, range !== undefined);
  }

  #download(name: string, { what }: S3Request, { response, idle }: S3Answer, isRange: boolean): Download {
    // Nobody reads yet; nobody waits.
    idle.rest();
    const { headers, status } = response;
    const [, first, last, all] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers.get("content-range") ?? "") ?? [];
    const lengthText = first === undefined ? headers.get("content-length") : String(Number(last) - Number(first) + 1);
    if (lengthText === null || isRange !== (status === 206)) {
      idle.cancel();
      const found = lengthText === null ? "the answer has no length" : `the range was answered with status ${status}`;
      throw new StorageError("misconfigured", `Cannot ${what}: ${found}; is something between us and the S3 server?`);
    }
    const sizeBytes = Number(lengthText);
    const object = { ...describe(name, headers), sizeBytes: all === undefined ? sizeBytes : Number(all) };
    const host = this.#options.endpoint.host;
    const reader = response.body?.getReader();
    const read = async () => {
      idle.start();
      try {
        return (await reader?.read())?.value;
      } catch (error) {
        if (idle.isOver) throw new StorageError("unavailable", `Cannot ${what}: ${host} fell silent`, { cause: error });
        throw idle.signal.aborted ? idle.signal.reason : connectionError(what, host, error);
      } finally {
        idle.rest();
      }
    };
    const shortened = (received: number) =>
      new StorageError(
        "unavailable",
        `Cannot ${what}: expected ${sizeBytes} bytes, the connection ended after ${received}`,
      );
    const close = async () => {
      idle.stop();
      await reader?.cancel().catch(() => {});
    };
    return { object, sizeBytes, stream: downloadStream({ read, close }, sizeBytes, shortened) };
  }

  async stat(name: string, options: OperationOptions = {}): Promise<StoredObject | undefined> {
    const key = this.#key(name);
    const signal = this.#signal(options);
    const request = { what: `read ${this.#url(key)}`, key, signal };
    try {
      const { headers } = await this.#client.send({ method: "HEAD", ...request });
      return describe(name, headers);
    } catch (error) {
      if (!(error instanceof StorageError) || error.kind === "unavailable") throw error;
    }
    // HEAD has no body that would tell an absent object from an absent bucket or a wrong key; GET has.
    try {
      const { response, idle } = await this.#client.open({ method: "GET", ...request });
      idle.cancel();
      return describe(name, response.headers);
    } catch (error) {
      if (error instanceof StorageError && error.kind === "not-found") return undefined;
      throw error;
    }
  }

  async *list(folder: string, { startsWith = "", ...options }: ListOptions = {}): AsyncGenerator<StoredObject> {
    const prefix = `${this.#prefix}${folderPrefix(folder)}${startsWith}`;
    for await (const { key, ...object } of listObjects(this.#client, prefix, this.#signal(options))) {
      // A key that ends so is what some tools make to show an empty folder.
      if (!key.endsWith("/")) yield { name: key.slice(this.#prefix.length), ...object };
    }
  }

  async delete(names: Iterable<string> | AsyncIterable<string>, options: OperationOptions = {}): Promise<void> {
    const signal = this.#signal(options);
    let batch: Version[] = [];
    const flush = async () => {
      const full = batch;
      batch = [];
      if (full.length > 0) await this.#deleteBatch(full, signal);
    };
    for await (const name of names) {
      const key = this.#key(name);
      if (this.#options.deleteAllVersions) {
        for await (const version of listVersions(this.#client, key, signal)) {
          batch.push(version);
          if (batch.length === deleteBatch) await flush();
        }
      } else batch.push({ key });
      if (batch.length === deleteBatch) await flush();
    }
    await flush();
  }

  async #deleteBatch(versions: readonly Version[], signal: AbortSignal): Promise<void> {
    const what = `delete objects of ${this.description}`;
    const [only] = versions;
    if (only !== undefined && versions.length === 1) {
      const query: Record<string, string> = only.versionId === undefined ? {} : { versionId: only.versionId };
      await this.#client
        .send({ method: "DELETE", what: `delete ${this.#url(only.key)}`, key: only.key, query, signal })
        .catch(ignoreAbsence);
      return;
    }
    const list = versions.map(({ key, versionId }) => {
      const version = versionId === undefined ? "" : `<VersionId>${escapeXml(versionId)}</VersionId>`;
      return `<Object><Key>${escapeXml(key)}</Key>${version}</Object>`;
    });
    const body = Buffer.from(`<Delete><Quiet>true</Quiet>${list.join("")}</Delete>`);
    // Demanded by S3 for this request, beside the signed SHA-256.
    const headers = {
      "content-md5": createHash("md5").update(body).digest("base64"),
      "content-type": "application/xml",
    };
    const { text } = await this.#client.send({ method: "POST", what, query: { delete: "" }, headers, body, signal });
    for (const failure of elements(text, "Error")) {
      const [key = "", code = "", message = ""] = ["Key", "Code", "Message"].map((field) => textOf(failure, field));
      if (code === "NoSuchKey" || code === "NoSuchVersion") continue;
      const kind = code === "AccessDenied" ? "access-denied" : "unavailable";
      throw new StorageError(
        kind,
        `Cannot delete ${this.#url(key)}: ${code}, ${message}; allow s3:DeleteObject, and s3:DeleteObjectVersion for delete_all_versions`,
      );
    }
  }

  async removeUnfinished(before: Date, { folder = "", ...options }: RemoveOptions = {}): Promise<number> {
    const signal = this.#signal(options);
    let removed = 0;
    for await (const { key, uploadId, initiated } of listUploads(
      this.#client,
      this.#prefix + folderPrefix(folder),
      signal,
    )) {
      if (initiated >= before) continue;
      const what = `abort an upload of ${this.#url(key)}`;
      try {
        await this.#client.send({ method: "DELETE", what, key, query: { uploadId }, signal });
        removed++;
      } catch (error) {
        // Its writer has ended it since it was listed, or the list is behind.
        if (!(error instanceof StorageError && error.message.includes("NoSuchUpload"))) throw error;
      }
    }
    return removed;
  }

  async check(options: OperationOptions = {}): Promise<string[]> {
    await probe(this, options);
    const warnings: string[] = [];
    const { bucket, deleteAllVersions, skipVerify, endpoint, now } = this.#options;
    const signal = this.#signal(options);
    const request = {
      method: "GET",
      what: `read the versioning of s3://${bucket}`,
      query: { versioning: "" },
      signal,
    } as const;
    // Many keys may not ask this, and not every server knows the question.
    const versioning = await this.#client.send(request).catch(() => undefined);
    const isVersioned = versioning !== undefined && textOf(versioning.text, "Status") === "Enabled";
    if (isVersioned && !deleteAllVersions) {
      warnings.push(
        `The bucket ${bucket} keeps old versions: deleting frees nothing unless delete_all_versions is set or a lifecycle rule ends them`,
      );
    }
    const seconds = versioning && skewSeconds(now(), versioning.headers);
    if (seconds !== undefined && Math.abs(seconds) > 60) {
      warnings.push(
        `This machine's clock is ${Math.abs(seconds)} s ${seconds > 0 ? "ahead of" : "behind"} that of ${endpoint.host}; S3 refuses more than 900 s`,
      );
    }
    if (skipVerify && endpoint.protocol === "https:")
      warnings.push(`The certificate of ${endpoint.host} is not verified: insecure_skip_verify is set`);
    return warnings;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new StorageError("unavailable", `Cannot use ${this.description}: it was closed`));
  }

  #key(name: string): string {
    checkName(name);
    return this.#prefix + name;
  }

  #url(key: string): string {
    return `s3://${this.#options.bucket}/${key}`;
  }

  #absent(key: string): StorageError {
    return new StorageError("not-found", `Cannot read ${this.#url(key)}: there is no such object`);
  }

  #signal({ signal }: { readonly signal?: AbortSignal | undefined }): AbortSignal {
    return signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal]);
  }
}

function describe(name: string, headers: Headers): StoredObject {
  const etag = etagOf(headers.get("etag"));
  const sha256 = headers.get("x-amz-meta-sha256") ?? undefined;
  return {
    name,
    sizeBytes: Number(headers.get("content-length")),
    modified: new Date(headers.get("last-modified") ?? 0),
    ...(etag === undefined ? {} : { etag }),
    ...(sha256 === undefined ? {} : { sha256 }),
  };
}

const isUnsatisfiable = (error: unknown): boolean =>
  error instanceof StorageError && error.message.includes("InvalidRange");

function ignoreAbsence(error: unknown): void {
  if (!(error instanceof StorageError && error.kind === "not-found")) throw error;
}
