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
    for (const element of elements(page.text, "Contents")) {
      const key = keyOf(element, page);
      const etag = etagOf(textOf(element, "ETag") ?? null);
      const object = {
        key,
        sizeBytes: page.size(textOf(element, "Size")),
        modified: page.date(textOf(element, "LastModified")),
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
    for (const element of [...elements(page.text, "Version"), ...elements(page.text, "DeleteMarker")]) {
      const found = keyOf(element, page);
      if (found === key) yield { key, versionId: textOf(element, "VersionId") ?? "null" };
      // In order of keys: all that follow are longer.
      else if (found > key && !found.startsWith(key)) return;
    }
    const marker = textOf(page.text, "NextKeyMarker");
    if (marker === undefined || page.decode(marker) !== key) return;
  }
}

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
    for (const element of elements(page.text, "Upload")) {
      const [uploadId, initiated] = [textOf(element, "UploadId"), textOf(element, "Initiated")];
      const key = keyOf(element, page);
      if (uploadId && key.startsWith(prefix)) yield { key, uploadId, initiated: page.date(initiated) };
    }
  }
}

/** @param next Query parameter of the next page to the element of this one that gives it. */
async function* pages(
  client: S3Client,
  first: Readonly<Record<string, string>>,
  signal: AbortSignal,
  next: Readonly<Record<string, string>>,
): AsyncGenerator<Page> {
  const what = `list s3://${client.target.bucket}/${first.prefix}`;
  for (let query: Record<string, string> = first; ; ) {
    const { text } = await client.send({ method: "GET", what, query, signal });
    // Whatever else answers with success has no objects in its text, and must not pass for an empty bucket.
    const name = /<(List\w{1,40}Result)[\s>]/.exec(text)?.[1];
    if (name === "ListAllMyBucketsResult") throw noList(what, "misconfigured", ofBuckets);
    if (name === undefined || !text.trimEnd().endsWith(`</${name}>`))
      throw noList(what, "misconfigured", "the answer is no list");
    const page = new Page(text, what);
    yield page;
    if (textOf(text, "IsTruncated") !== "true") return;
    const asked = JSON.stringify(query);
    query = { ...first };
    for (const [parameter, element] of Object.entries(next)) {
      const value = textOf(text, element);
      if (value !== undefined) query[parameter] = parameter === "key-marker" ? page.decode(value) : value;
    }
    if (Object.keys(query).length === Object.keys(first).length || JSON.stringify(query) === asked)
      throw noList(what, "unavailable", "there is more, and the answer does not say how to ask for it");
  }
}

/** What a server answers that does not look for the bucket in its host name. */
const ofBuckets = "the answer is a list of buckets, not of one bucket's content: check path_style";

const noList = (what: string, kind: StorageErrorKind, found: string) =>
  new StorageError(kind, `Cannot ${what}: ${found}; check endpoint, and what is between us and the S3 server`);

const keyOf = (element: string, page: Page): string => page.decode(textOf(element, "Key") ?? "");

/** One answer. What stands in its fields is anybody's: each is read, or refused in words. */
class Page {
  readonly text: string;
  readonly #what: string;
  /** Only where the server says that it encodes: XML has no way to hold some characters. */
  readonly #isEncoded: boolean;

  constructor(text: string, what: string) {
    this.text = text;
    this.#what = what;
    this.#isEncoded = textOf(text, "EncodingType") === "url";
  }

  decode(key: string): string {
    if (!this.#isEncoded) return key;
    try {
      return decodeURIComponent(key.replaceAll("+", "%20"));
    } catch {
      throw this.#unreadable("the key", key);
    }
  }
  size(text = ""): number {
    if (/^\d{1,15}$/.test(text)) return Number(text);
    throw this.#unreadable("the size", text);
  }
  /** Where there is none, long ago. */
  date(text = new Date(0).toISOString()): Date {
    const date = new Date(text);
    if (Number.isNaN(date.getTime())) throw this.#unreadable("the date", text);
    return date;
  }

  #unreadable(what: string, found: string): StorageError {
    return noList(this.#what, "misconfigured", `${what} ${JSON.stringify(found.slice(0, 100))} in it cannot be read`);
  }
}
