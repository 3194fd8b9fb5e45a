/** Uploads: one request for what fits in a part, else a multipart upload that is completed or aborted. */
import type { Measured } from "../content.ts";
import { StorageError } from "../errors.ts";
import type { PutOptions } from "../storage.ts";
import type { S3Client, S3Request } from "./client.ts";
import { escapeXml, textOf } from "./xml.ts";

const maxParts = 10_000;
const maxPartBytes = 5 * 2 ** 30;
const serversWithoutConditions = new WeakSet<S3Client>();

export interface Uploaded {
  readonly etag: string | undefined;
  /** When the server says it is. */
  readonly modified: Date;
  /** Hexadecimal SHA-256 of all. */
  readonly sha256: string;
}

export interface UploadOptions extends PutOptions {
  readonly partBytes: number;
}

/** Memory: at most two parts, and no more than the content needs. */
export async function upload(
  client: S3Client,
  key: string,
  content: Measured,
  options: UploadOptions,
): Promise<Uploaded> {
  const what = `write s3://${client.target.bucket}/${key}`;
  const { signal } = options;
  const parts = collectParts(content.chunks, partSizes(options));
  try {
    const first = await parts.next();
    if (first.done || first.value.isLast) {
      const body = first.done ? new Uint8Array() : first.value.bytes;
      const sha256 = content.sha256();
      const headers = { "content-type": "application/octet-stream", "x-amz-meta-sha256": sha256 };
      const answer = await sendLast({ method: "PUT", what, key, headers, body, signal });
      return { etag: etagOf(answer.headers.get("etag")), modified: serverTime(answer.headers, client), sha256 };
    }
    return await multipart(first.value.bytes);
  } finally {
    await parts.return(undefined);
  }

  /** Sends the request that makes the object. Some servers refuse a condition: they have only been asked for the object before. */
  async function sendLast(request: S3Request): ReturnType<S3Client["send"]> {
    if (!options.ifAbsent || serversWithoutConditions.has(client)) return await client.send(request);
    try {
      return await client.send({ ...request, headers: { ...request.headers, "if-none-match": "*" } });
    } catch (error) {
      if (!(error instanceof StorageError && error.message.includes("NotImplemented"))) throw error;
      const answer = await client.send(request);
      serversWithoutConditions.add(client);
      return answer;
    }
  }

  async function multipart(firstPart: Uint8Array): Promise<Uploaded> {
    const headers = { "content-type": "application/octet-stream" };
    const begun = await client.send({ method: "POST", what, key, query: { uploads: "" }, headers, signal });
    const uploadId = textOf(begun.text, "UploadId");
    if (uploadId === undefined) throw new StorageError("misconfigured", `Cannot ${what}: the server named no upload`);
    const etags: string[] = [];
    let sending: Promise<void> = Promise.resolve();
    const send = (body: Uint8Array, number: number) => {
      sending = client
        .send({ method: "PUT", what, key, query: { partNumber: String(number), uploadId }, body, signal })
        .then((answer) => void etags.push(answer.headers.get("etag") ?? ""));
      // Awaited below; until then nobody listens.
      sending.catch(() => {});
    };
    try {
      let number = 1;
      send(firstPart, number);
      for await (const { bytes } of parts) {
        await sending;
        if (++number > maxParts)
          throw new StorageError(
            "misconfigured",
            `Cannot ${what}: more than ${maxParts} parts; choose a larger part_size`,
          );
        send(bytes, number);
      }
      await sending;
      const list = etags.map(
        (etag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${escapeXml(etag)}</ETag></Part>`,
      );
      const body = Buffer.from(`<CompleteMultipartUpload>${list.join("")}</CompleteMultipartUpload>`);
      const answer = await sendLast({ method: "POST", what, key, query: { uploadId }, body, signal });
      // The status was sent long before the outcome: only the result says that there is an object.
      if (!/<CompleteMultipartUploadResult[\s/>]/.test(answer.text)) {
        throw new StorageError("unavailable", `Cannot ${what}: the answer does not say that the upload is complete`);
      }
      return {
        etag: etagOf(textOf(answer.text, "ETag") ?? null),
        modified: serverTime(answer.headers, client),
        sha256: content.sha256(),
      };
    } catch (error) {
      await sending.catch(() => {});
      // Without the caller's signal, which may be what ended the upload.
      const abort = {
        method: "DELETE",
        what: `abort an upload of s3://${client.target.bucket}/${key}`,
        key,
        query: { uploadId },
      } as const;
      await client.send({ ...abort, signal: AbortSignal.timeout(client.target.timeoutMs) }).catch(() => {});
      throw error;
    }
  }
}

/**
 * How large the n-th part (from 0) is. Of one size, as some servers demand; only content of unknown size that needs more than 5,000
 * parts gets parts that are 16 times larger.
 */
export function partSizes({ partBytes, sizeBytes }: UploadOptions): (index: number) => number {
  if (sizeBytes !== undefined) {
    const size = Math.max(partBytes, Math.ceil(sizeBytes / maxParts));
    return () => size;
  }
  return (index) => (index < maxParts / 2 ? partBytes : Math.min(16 * partBytes, maxPartBytes));
}

interface Part {
  readonly bytes: Uint8Array;
  readonly isLast: boolean;
}

/** Chunks put together to parts. Content of exactly one part's size is one last part. */
export async function* collectParts(
  chunks: AsyncIterable<Uint8Array>,
  sizeOf: (index: number) => number,
): AsyncGenerator<Part> {
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  let index = 0;
  for await (let chunk of chunks) {
    // A part goes out only once a byte more is there: then it is known not to be the last.
    while (pendingBytes + chunk.byteLength > sizeOf(index)) {
      const taken = sizeOf(index) - pendingBytes;
      pending.push(chunk.subarray(0, taken));
      chunk = chunk.subarray(taken);
      const bytes = Buffer.concat(pending);
      pending = [];
      pendingBytes = 0;
      index++;
      yield { bytes, isLast: false };
    }
    pending.push(chunk);
    pendingBytes += chunk.byteLength;
  }
  if (pendingBytes > 0) yield { bytes: Buffer.concat(pending), isLast: true };
}

export const etagOf = (header: string | null): string | undefined => header?.replace(/^(?:W\/)?"(.*)"$/, "$1");

function serverTime(headers: Headers, { target }: S3Client): Date {
  const time = Date.parse(headers.get("date") ?? "");
  return Number.isNaN(time) ? target.now() : new Date(time);
}
