/** The requests to a bucket and its objects that the storage makes, and what S3 answers. */
import { createHash, randomBytes } from "node:crypto";
import { type Bucket, failure, md5 } from "./server.ts";

interface BucketRequest {
  readonly request: Request;
  readonly url: URL;
  readonly bucket: Bucket;
  readonly bucketName: string;
  readonly key: string;
  readonly body: Uint8Array;
  readonly pageSize: number;
}

/** S3's smallest part but the last. */
const minPartBytes = 5 * 2 ** 20;

export function bucketAnswer(call: BucketRequest): Response {
  const { request, url, key } = call;
  const query = url.searchParams;
  const { method } = request;
  if (key === "") {
    if (method === "POST" && query.has("delete")) return deleteMany(call);
    if (method === "GET" && query.has("versions")) return listVersions(call);
    if (method === "GET" && query.has("uploads")) return listUploads(call);
    if (method === "GET" && query.has("versioning")) {
      return xml(
        `<VersioningConfiguration>${call.bucket.isVersioned ? "<Status>Enabled</Status>" : ""}</VersioningConfiguration>`,
      );
    }
    if (method === "GET" && query.get("list-type") === "2") return listObjects(call);
    return failure(request, 405, "MethodNotAllowed");
  }
  if (method === "POST" || query.has("uploadId")) return multipart(call);
  if (method === "PUT") return put(call);
  if (method === "GET" || method === "HEAD") return read(call);
  call.bucket.delete(key, query.get("versionId"));
  return new Response(null, { status: 204 });
}

function put({ request, bucket, key, body }: BucketRequest): Response {
  if (request.headers.get("if-none-match") === "*" && bucket.newest(key))
    return failure(request, 412, "PreconditionFailed");
  const metadata = Object.fromEntries([...request.headers].filter(([name]) => name.startsWith("x-amz-meta-")));
  const { etag } = bucket.write(key, body, md5(body), metadata);
  return new Response(null, { headers: { etag: `"${etag}"` } });
}

function read({ request, bucket, key }: BucketRequest): Response {
  const version = bucket.newest(key);
  if (version?.content === undefined) return failure(request, 404, "NoSuchKey");
  const { content, etag, modified, metadata } = version;
  const headers: Record<string, string> = {
    ...metadata,
    etag: `"${etag}"`,
    "last-modified": modified.toUTCString(),
    "accept-ranges": "bytes",
  };
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.get("range") ?? "");
  if (range === null) {
    headers["content-length"] = String(content.length);
    return new Response(request.method === "HEAD" ? null : content, { headers });
  }
  const start = Number(range[1]);
  const end = Math.min(range[2] ? Number(range[2]) + 1 : content.length, content.length);
  if (start >= content.length) return failure(request, 416, "InvalidRange");
  headers["content-range"] = `bytes ${start}-${end - 1}/${content.length}`;
  return new Response(content.subarray(start, end), { status: 206, headers });
}

function multipart({ request, url, bucket, key, body }: BucketRequest): Response {
  if (url.searchParams.has("uploads")) {
    const id = randomBytes(8).toString("hex");
    bucket.uploads.set(id, { id, key, begun: new Date(), parts: new Map() });
    return xml(
      `<InitiateMultipartUploadResult><Key>${xmlText(key)}</Key><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
    );
  }
  const id = url.searchParams.get("uploadId") ?? "";
  const upload = bucket.uploads.get(id);
  if (upload === undefined || upload.key !== key) return failure(request, 404, "NoSuchUpload");
  if (request.method === "DELETE") {
    bucket.uploads.delete(id);
    return new Response(null, { status: 204 });
  }
  if (request.method === "PUT") {
    const etag = md5(body);
    upload.parts.set(Number(url.searchParams.get("partNumber")), { content: body, etag });
    return new Response(null, { headers: { etag: `"${etag}"` } });
  }
  const listed = [
    ...Buffer.from(body)
      .toString()
      .matchAll(/<PartNumber>(\d+)<\/PartNumber><ETag>&#34;([0-9a-f]+)&#34;<\/ETag>/g),
  ];
  const parts = listed.map(([, number, etag]) => ({
    part: upload.parts.get(Number(number)),
    number: Number(number),
    etag,
  }));
  if (
    parts.length === 0 ||
    parts.some(({ part, etag, number }, index) => part?.etag !== etag || number !== index + 1)
  ) {
    return failure(request, 400, "InvalidPart");
  }
  const contents = parts.flatMap(({ part }) => part?.content ?? []);
  if (contents.slice(0, -1).some((content) => content.length < minPartBytes))
    return failure(request, 400, "EntityTooSmall");
  if (request.headers.get("if-none-match") === "*" && bucket.newest(key))
    return failure(request, 412, "PreconditionFailed");
  bucket.uploads.delete(id);
  const digests = createHash("md5");
  for (const content of contents) digests.update(md5(content), "hex");
  const { etag } = bucket.write(key, Buffer.concat(contents), `${digests.digest("hex")}-${contents.length}`);
  return xml(`<CompleteMultipartUploadResult><ETag>&quot;${etag}&quot;</ETag></CompleteMultipartUploadResult>`);
}

function listObjects({ url, bucket, pageSize }: BucketRequest): Response {
  const query = url.searchParams;
  const token = Buffer.from(query.get("continuation-token") ?? "", "base64").toString();
  const all = sortedKeys(bucket, query.get("prefix")).filter(
    (key) => bucket.newest(key) && Buffer.compare(Buffer.from(key), Buffer.from(token)) > 0,
  );
  const page = all.slice(0, pageSize);
  const contents = page.map((key) => {
    const version = bucket.newest(key);
    return `<Contents><Key>${encode(key, query)}</Key><LastModified>${version?.modified.toISOString()}</LastModified><ETag>&quot;${version?.etag}&quot;</ETag><Size>${version?.content?.length}</Size></Contents>`;
  });
  const next =
    all.length > page.length
      ? `<NextContinuationToken>${Buffer.from(page.at(-1) ?? "").toString("base64")}</NextContinuationToken>`
      : "";
  return xml(
    `<ListBucketResult>${encoding(query)}<IsTruncated>${next !== ""}</IsTruncated>${next}${contents.join("")}</ListBucketResult>`,
  );
}

function listVersions({ url, bucket, pageSize }: BucketRequest): Response {
  const query = url.searchParams;
  const [keyMarker, idMarker] = [query.get("key-marker"), query.get("version-id-marker")];
  const all = sortedKeys(bucket, query.get("prefix")).flatMap((key) =>
    (bucket.versions.get(key) ?? []).map((version) => ({ key, version })),
  );
  const at =
    keyMarker === null ? 0 : all.findIndex(({ key, version }) => key === keyMarker && version.id === idMarker) + 1;
  const page = all.slice(at, at + pageSize);
  const elements = page.map(({ key, version }) => {
    const kind = version.content === undefined ? "DeleteMarker" : "Version";
    return `<${kind}><Key>${encode(key, query)}</Key><VersionId>${version.id}</VersionId></${kind}>`;
  });
  const last = page.at(-1);
  const isTruncated = at + page.length < all.length;
  const next =
    isTruncated && last
      ? `<NextKeyMarker>${encode(last.key, query)}</NextKeyMarker><NextVersionIdMarker>${last.version.id}</NextVersionIdMarker>`
      : "";
  return xml(
    `<ListVersionsResult>${encoding(query)}<IsTruncated>${isTruncated}</IsTruncated>${next}${elements.join("")}</ListVersionsResult>`,
  );
}

function listUploads({ url, bucket }: BucketRequest): Response {
  const query = url.searchParams;
  const uploads = [...bucket.uploads.values()].filter(({ key }) => key.startsWith(query.get("prefix") ?? ""));
  const elements = uploads.map(
    ({ key, id, begun }) =>
      `<Upload><Key>${encode(key, query)}</Key><UploadId>${id}</UploadId><Initiated>${begun.toISOString()}</Initiated></Upload>`,
  );
  return xml(
    `<ListMultipartUploadsResult>${encoding(query)}<IsTruncated>false</IsTruncated>${elements.join("")}</ListMultipartUploadsResult>`,
  );
}

function deleteMany({ request, bucket, body }: BucketRequest): Response {
  if (request.headers.get("content-md5") !== createHash("md5").update(body).digest("base64"))
    return failure(request, 400, "InvalidDigest");
  const objects = [
    ...Buffer.from(body)
      .toString()
      .matchAll(/<Object><Key>(.*?)<\/Key>(?:<VersionId>(.*?)<\/VersionId>)?<\/Object>/gs),
  ];
  if (objects.length > 1000) return failure(request, 400, "MalformedXML");
  for (const [, key = "", id] of objects) bucket.delete(plainText(key), id ?? null);
  return xml("<DeleteResult></DeleteResult>");
}

const sortedKeys = (bucket: Bucket, prefix: string | null): string[] =>
  [...bucket.versions.keys()]
    .filter((key) => key.startsWith(prefix ?? ""))
    .sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));

const encoding = (query: URLSearchParams) =>
  query.get("encoding-type") === "url" ? "<EncodingType>url</EncodingType>" : "";
const encode = (key: string, query: URLSearchParams) =>
  query.get("encoding-type") === "url"
    ? encodeURIComponent(key).replaceAll("%20", "+").replaceAll("%2F", "/")
    : xmlText(key);
const xmlText = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const plainText = (text: string) => text.replaceAll(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)));

const xml = (text: string): Response =>
  new Response(`<?xml version="1.0" encoding="UTF-8"?>\n${text}`, { headers: { "content-type": "application/xml" } });
