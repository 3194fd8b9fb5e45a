/** Lists that are none, or not whole: what is missing in them must not pass for absent. */
import { expect, test } from "bun:test";
import { openStorage } from "../../../plugins/common/storage/open.ts";
import { storageSettings } from "../../../plugins/common/storage/settings.ts";

const list = (inner: string) =>
  `<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${inner}</ListBucketResult>`;

const object = (key: string, size: string, modified: string) =>
  list(
    `<EncodingType>url</EncodingType><Contents><Key>wal-archive/${key}</Key><Size>${size}</Size><LastModified>${modified}</LastModified></Contents>`,
  );

test.each([
  ["a page of a proxy", "<html><body>Welcome</body></html>", "text/html"],
  ["nothing", "", "application/xml"],
  ["a list that was cut off", list("<IsTruncated>false</IsTruncated>").slice(0, 60), "application/xml"],
  [
    "a list that goes on with itself",
    list("<IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>"),
    "application/xml",
  ],
  ["a list with half an escape", object("%E0%A4%A", "1", "2026-01-01T00:00:00Z"), "application/xml"],
  ["a list with a size that is none", object("a", "1e400", "2026-01-01T00:00:00Z"), "application/xml"],
  ["a list with a moment that is none", object("a", "1", "yesterday"), "application/xml"],
  ["a list that begins a million times", "<ListAResult ".repeat(1_000_000), "application/xml"],
  [
    "a list of buckets, of a server that does not find ours in its host name,",
    "<ListAllMyBucketsResult><Owner><ID>1</ID></Owner><Buckets><Bucket><Name>wal</Name></Bucket></Buckets></ListAllMyBucketsResult>",
    "application/xml",
  ],
  ["a list that does not say how it goes on", list("<IsTruncated>true</IsTruncated>"), "application/xml"],
])("%s is no list of objects", async (_, body, type) => {
  const server = Bun.serve({
    port: 0,
    reusePort: false,
    fetch: () => new Response(body, { headers: { "content-type": type } }),
  });
  try {
    const settings = {
      type: "s3",
      bucket: "wal",
      endpoint: `http://127.0.0.1:${server.port}`,
      path_style: true,
      attempts: 1,
    };
    const keys = { access_key_id: "a", secret_access_key: "b" };
    await using storage = await openStorage(storageSettings.parse({ ...settings, ...keys }), { environment: {} });
    const error = await Array.fromAsync(storage.list("wal-archive")).then(
      (objects) => objects,
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ name: "StorageError" });
    expect(String(error)).toContain("Cannot list s3://wal/");
  } finally {
    server.stop(true);
  }
});
