/** S3's paged lists: objects, versions, uploads that were never completed. */
import { StorageError, type StorageErrorKind } from "../errors.ts";
import type { StoredObject } from "../storage.ts";
import type { S3Client } from "./client.ts";
import { etagOf } from "./upload.ts";
import { elements, textOf } from "./xml.ts";

export interface ListedObject extends Omit<StoredObject, "name" | "sha256"> {
  readonly key: string;
}

export async function* listObjects(
  client: S3Client,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<ListedObject> {
  const first = { "list-type": "2", "encoding-type": "url", prefix };
  for await (const page of pages(client, first, signal, { "continuation-token": "NextContinuationToken" })) {
    for (const element of elements(page, "Contents")) {
      const key = keyOf(element, page);
      const etag = etagOf(textOf(element, "ETag") ?? null);
      const object = {
        key,
        sizeBytes: Number(textOf(element, "Size")),
        modified: new Date(textOf(element, "LastModified") ?? 0),
      };
      if (key.startsWith(prefix)) yield { ...object, ...(etag === undefined ? {} : { etag }) };
    }
  }
}

export interface Version {
  readonly key: string;
  /** Absent: the object itself, whose deletion may leave a marker. */
  readonly versionId?: string;
}

/** All versions and deletion markers of exactly this key. */
export async function* listVersions(client: S3Client, key: string, signal: AbortSignal): AsyncGenerator<Version> {
  const first = { versions: "", "encoding-type": "url", prefix: key };
  const next = { "key-marker": "NextKeyMarker", "version-id-marker": "NextVersionIdMarker" };
  for await (const page of pages(client, first, signal, next)) {
    for (const element of [...elements(page, "Version"), ...elements(page, "DeleteMarker")]) {
      const found = keyOf(element, page);
      if (found === key) yield { key, versionId: textOf(element, "VersionId") ?? "null" };
      // In order of keys: all that follow are longer.
      else if (found > key && !found.startsWith(key)) return;
    }
    if (!isSame(textOf(page, "NextKeyMarker"), key, page)) return;
  }
}

const isSame = (marker: string | undefined, key: string, page: string): boolean =>
  marker !== undefined && decode(marker, page) === key;

export interface UnfinishedUpload {
  readonly key: string;
  readonly uploadId: string;
  readonly initiated: Date;
}

export async function* listUploads(
  client: S3Client,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<UnfinishedUpload> {
  const first = { uploads: "", "encoding-type": "url", prefix };
  const next = { "key-marker": "NextKeyMarker", "upload-id-marker": "NextUploadIdMarker" };
  for await (const page of pages(client, first, signal, next)) {
    for (const element of elements(page, "Upload")) {
      const [uploadId, initiated] = [textOf(element, "UploadId"), textOf(element, "Initiated")];
      const key = keyOf(element, page);
      if (uploadId && key.startsWith(prefix)) yield { key, uploadId, initiated: new Date(initiated ?? 0) };
    }
  }
}

/** @param next Query parameter of the next page to the element of this one that gives it. */
async function* pages(
  client: S3Client,
  first: Readonly<Record<string, string>>,
  signal: AbortSignal,
  next: Readonly<Record<string, string>>,
): AsyncGenerator<string> {
  const what = `list s3://${client.target.bucket}/${first.prefix}`;
  for (let query: Record<string, string> = first; ; ) {
    const { text } = await client.send({ method: "GET", what, query, signal });
    // Whatever else answers with success has no objects in its text, and must not pass for an empty bucket.
    if (!/<(List\w+Result)[\s>][\s\S]*<\/\1>\s*$/.test(text))
      throw noList(what, "misconfigured", "the answer is no list");
    yield text;
    if (textOf(text, "IsTruncated") !== "true") return;
    query = { ...first };
    for (const [parameter, element] of Object.entries(next)) {
      const value = textOf(text, element);
      if (value !== undefined) query[parameter] = parameter === "key-marker" ? decode(value, text) : value;
    }
    if (Object.keys(query).length === Object.keys(first).length)
      throw noList(what, "unavailable", "there is more, and the answer does not say how to ask for it");
  }
}

const noList = (what: string, kind: StorageErrorKind, found: string) =>
  new StorageError(kind, `Cannot ${what}: ${found}; check endpoint, and what is between us and the S3 server`);

const keyOf = (element: string, page: string): string => decode(textOf(element, "Key") ?? "", page);

/** Only where the server says that it encodes: XML has no way to hold some characters. */
const decode = (key: string, page: string): string =>
  textOf(page, "EncodingType") === "url" ? decodeURIComponent(key.replaceAll("+", "%20")) : key;
