/** What is S3's own: errors and what would help, TLS, parts, versions, and connections that fail. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { collect } from "../../../plugins/common/storage/content.ts";
import type { StorageSettingsInput } from "../../../plugins/common/storage/settings.ts";
import { describeWith } from "../../harness/describe-with.ts";
import { createFolder, type TemporaryFolder } from "../../harness/folders.ts";
import { startTcpProxy, type TcpProxy } from "../../harness/outage-proxy.ts";
import { failure, type S3Server, startS3Server } from "../../harness/s3/server.ts";
import { selfSigned } from "../http/certificates.ts";
import { failureOf, open, s3Settings } from "./storages.ts";

type S3Input = Extract<StorageSettingsInput, { type: "s3" }>;

let server: S3Server;
const settings = (more: Partial<S3Input> = {}): S3Input => ({ ...s3Settings(server), ...more });
const large = randomBytes(12_345_678);
const sha256 = (content: Uint8Array) => createHash("sha256").update(content).digest("hex");

beforeAll(() => {
  server = startS3Server();
});
afterAll(async () => await server[Symbol.asyncDispose]());
beforeEach(() => {
  server.intercept = undefined;
  server.clockOffsetMs = 0;
  server.requests.length = 0;
});

test("the test server's check of signatures is that of Bun's client too", async () => {
  const { accessKeyId, secretAccessKey, region } = server.account;
  const endpoint = `http://127.0.0.1:${server.port}`;
  const client = new Bun.S3Client({ accessKeyId, secretAccessKey, region, endpoint, bucket: "holdfast" });
  await client.write("bun/a b+ü", "written by Bun");
  const ours = await open(settings());
  expect(Buffer.from(await collect((await ours.get("bun/a b+ü")).stream, 100)).toString()).toBe("written by Bun");
  await ours.put("bun/c", Buffer.from("written by us"));
  expect(await client.file("bun/c").text()).toBe("written by us");
  const stranger = new Bun.S3Client({ accessKeyId, secretAccessKey: "other", region, endpoint, bucket: "holdfast" });
  expect(
    await stranger
      .file("bun/c")
      .text()
      .catch((error: unknown) => String(error)),
  ).toContain("SignatureDoesNotMatch");
});

test("a server that refuses conditional writes takes objects all the same, and none is replaced that is seen", async () => {
  let refused = 0;
  server.intercept = (request) => {
    if (request.headers.get("if-none-match") === null) return undefined;
    refused++;
    return failure(request, 501, "NotImplemented");
  };
  await using storage = await open(settings({ part_size: "5MiB" }));
  for (const [name, content] of [
    ["conditional/small", Buffer.from("small")],
    ["conditional/large", large],
  ] as const) {
    await storage.put(name, content, { ifAbsent: true });
    expect(sha256(await collect((await storage.get(name)).stream, large.length))).toBe(sha256(content));
    expect((await failureOf(storage.put(name, Buffer.from("other"), { ifAbsent: true }))).kind).toBe("exists");
  }
  expect(refused).toBe(1);
  expect(server.requests.filter((request) => request.startsWith("DELETE"))).toEqual([]);
});

describe("check() says what is wrong and what would help:", () => {
  const wrong: readonly [string, Partial<S3Input>, string, string][] = [
    [
      "an unknown key",
      { access_key_id: "OTHER" },
      "misconfigured",
      "InvalidAccessKeyId, InvalidAccessKeyId of the test server; check access_key_id",
    ],
    ["a wrong secret", { secret_access_key: "topsecret" }, "misconfigured", "SignatureDoesNotMatch"],
    [
      "a missing bucket",
      { bucket: "other" },
      "misconfigured",
      "NoSuchBucket, NoSuchBucket of the test server; make the bucket",
    ],
    [
      "another region",
      { region: "us-east-1" },
      "misconfigured",
      "the bucket's region is eu-test-1, the configured one us-east-1",
    ],
    ["no server", { endpoint: "http://127.0.0.1:1" }, "unavailable", "no answer from 127.0.0.1:1: ECONNREFUSED"],
  ];
  test.each(wrong)("%s", async (_, more, kind, message) => {
    const storage = await open(settings({ ...more, attempts: 1 }));
    const error = await failureOf(storage.check());
    expect(error.kind).toBe(kind as typeof error.kind);
    expect(error.message).toStartWith(`Cannot write to s3://${more.bucket ?? "holdfast"}: `);
    expect(error.message).toContain(message);
    expect(error.message).not.toContain("topsecret");
    // Never taken for an absent object: a recovery would end there.
    expect((await failureOf(storage.stat("x"))).kind).toBe(kind as typeof error.kind);
    expect((await failureOf(storage.get("x"))).kind).toBe(kind as typeof error.kind);
    expect((await failureOf(Array.fromAsync(storage.list("x")))).kind).toBe(kind as typeof error.kind);
  });

  test("a clock that is off", async () => {
    server.clockOffsetMs = 3_600_000;
    const error = await failureOf((await open(settings())).check());
    expect(error.kind).toBe("misconfigured");
    expect(error.message).toMatch(
      /RequestTimeTooSkewed.*; this machine's clock is 3(600|5[5-9]\d) s behind the server's; set this machine's clock$/,
    );
    server.clockOffsetMs = -120_000;
    expect(await (await open(settings())).check()).toEqual([
      expect.stringMatching(/clock is (1[0-2]\d|[6-9]\d) s ahead of/),
    ]);
  });

  test("a key that may write but not delete", async () => {
    server.intercept = (request) => (request.method === "DELETE" ? failure(request, 403, "AccessDenied") : undefined);
    const error = await failureOf((await open(settings())).check());
    expect(error.kind).toBe("access-denied");
    expect(error.message).toMatch(/^Cannot delete from s3:\/\/holdfast: .*AccessDenied.*s3:DeleteObject/);
  });

  test("a server that is none of S3", async () => {
    using other = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      reusePort: false,
      fetch: () => new Response("<html>Not here</html>", { status: 404 }),
    });
    const storage = await open(settings({ endpoint: `http://127.0.0.1:${other.port}` }));
    for (const work of [() => storage.stat("x"), () => storage.get("x"), () => storage.check()]) {
      const error = await failureOf(work());
      expect(error.kind).toBe("misconfigured");
      expect(error.message).toContain("is this an S3 server?");
    }
  });

  test("a versioned bucket that deleting does not empty", async () => {
    const storage = await open(settings({ bucket: "versioned" }));
    expect(await storage.check()).toEqual([expect.stringContaining("delete_all_versions")]);
  });
});

test("deleting all versions takes those of the named objects alone", async () => {
  const bucket = server.buckets.get("versioned");
  bucket?.versions.clear();
  server.pageSize = 2;
  const storage = await open(settings({ bucket: "versioned", delete_all_versions: true }));
  for (const name of ["a", "a", "a", "ab", "a/b", "c"]) await storage.put(name, Buffer.from(name));
  await (await open(settings({ bucket: "versioned" }))).delete(["c"]);
  expect(bucket?.versions.get("c")).toHaveLength(2);
  await storage.delete(["a", "c", "none"]);
  server.pageSize = 1000;
  expect([...(bucket?.versions.keys() ?? [])].sort()).toEqual(["a/b", "ab"]);
});

test("what fits in a part is put with one request and read with one", async () => {
  const storage = await open(settings({ part_size: "16MiB" }));
  await storage.put("x", large);
  expect(server.requests).toEqual(["PUT x"]);
  await collect((await storage.get("x")).stream, 1 << 30);
  expect(server.requests).toEqual(["PUT x", "GET x"]);
});

test("an upload in parts is completed once, and aborted when a part fails for good", async () => {
  const storage = await open(settings());
  await storage.put("parts", large);
  expect(server.requests.filter((request) => request.includes("partNumber"))).toHaveLength(3);
  server.intercept = (request) =>
    request.url.includes("partNumber=2") ? failure(request, 403, "AccessDenied") : undefined;
  expect((await failureOf(storage.put("parts2", large))).kind).toBe("access-denied");
  expect(server.buckets.get("holdfast")?.uploads.size).toBe(0);
  expect(await storage.stat("parts2")).toBeUndefined();
});

test("a completion that failed after its first byte is heard", async () => {
  server.intercept = (request) =>
    request.method === "POST" && request.url.includes("uploadId")
      ? new Response('<?xml version="1.0"?><Error><Code>InternalError</Code><Message>Late</Message></Error>')
      : undefined;
  expect((await failureOf((await open(settings())).put("late", large))).message).toContain("InternalError, Late");
});

test.each(["", '<?xml version="1.0"?>\n   ', "<html><body>Welcome</body></html>"])(
  "a completion that is answered with success and %j is none",
  async (body) => {
    const storage = await open(settings());
    server.intercept = (request) =>
      request.method === "POST" && request.url.includes("uploadId") ? new Response(body) : undefined;
    const error = await failureOf(storage.put("silent", large));
    expect([error.kind, error.message]).toEqual(["unavailable", expect.stringContaining("is complete")]);
    expect(await storage.stat("silent")).toBeUndefined();
    expect(server.buckets.get("holdfast")?.uploads.size).toBe(0);
  },
);

test("unfinished uploads are removed, but only old ones", async () => {
  const storage = await open(settings());
  server.buckets.get("holdfast")?.uploads.set("u1", { id: "u1", key: "crashed", begun: new Date(0), parts: new Map() });
  expect(await storage.removeUnfinished(new Date(-1))).toBe(0);
  // In a bucket that others use as well, theirs are none of ours.
  expect(await storage.removeUnfinished(new Date(), { folder: "wal-archive" })).toBe(0);
  expect(await storage.removeUnfinished(new Date())).toBe(1);
  expect(server.buckets.get("holdfast")?.uploads.size).toBe(0);
});

test("an unfinished upload that somebody else has ended meanwhile keeps no other from being removed", async () => {
  const { uploads } = server.buckets.get("holdfast") ?? { uploads: new Map() };
  for (const id of ["u1", "u2", "u3"]) uploads.set(id, { id, key: id, begun: new Date(0), parts: new Map() });
  server.intercept = (request) => {
    if (request.method === "DELETE" && request.url.includes("u2")) uploads.delete("u2");
    return undefined;
  };
  expect(await (await open(settings())).removeUnfinished(new Date())).toBe(2);
  expect(uploads.size).toBe(0);
});

test("what fails for the moment is tried again", async () => {
  let failures = 0;
  server.intercept = (request) => (failures++ < 3 ? failure(request, 503, "SlowDown") : undefined);
  await (await open(settings({ attempts: 4 }))).put("again", Buffer.from("x"));
  failures = 0;
  expect((await failureOf((await open(settings({ attempts: 2 }))).stat("again"))).kind).toBe("unavailable");
});

test("keys come from the environment, or a file that may change", async () => {
  await using folder = await createFolder("holdfast-s3-keys");
  const { accessKeyId, secretAccessKey } = server.account;
  const { access_key_id: _, secret_access_key: __, ...without } = s3Settings(server);
  const environment = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  expect(await (await open(without, environment)).stat("absent")).toBeUndefined();
  expect((await failureOf((await open(without)).stat("absent"))).message).toStartWith(
    "Cannot find S3 keys: set access_key_id",
  );
  const file = `${folder.path}/credentials`;
  const write = (secret: string) =>
    writeFile(
      file,
      `[other]\naws_access_key_id = X\n[archive]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key=${secret}\n`,
    );
  await write("topsecret");
  const storage = await open({ ...without, credentials_file: file, profile: "archive" });
  const error = await failureOf(storage.stat("absent"));
  expect(error.message).toContain("SignatureDoesNotMatch");
  await write(secretAccessKey);
  expect(await storage.stat("absent")).toBeUndefined();
  const missing = await failureOf((await open({ ...without, credentials_file: file })).stat("absent"));
  expect(missing.message).toContain('there is no profile "default"');
});

test("a session token is sent", async () => {
  await using other = startS3Server({ sessionToken: "a token" });
  expect(await (await open({ ...s3Settings(other), session_token: "a token" })).check()).toEqual([]);
  const error = await failureOf((await open({ ...s3Settings(other), session_token: "old" })).check());
  expect(error.message).toContain("renew the temporary keys");
});

describeWith(["openssl"], "over TLS", () => {
  let folder: TemporaryFolder;
  let secure: S3Server;
  beforeAll(async () => {
    folder = await createFolder("holdfast-s3-tls");
    const { cert, key } = await selfSigned(folder.path, "server");
    secure = startS3Server({ tls: { cert: await readFile(cert, "utf8"), key: await readFile(key, "utf8") } });
  });
  afterAll(async () => {
    await secure[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });
  const tls = (more: Partial<S3Input>): S3Input => ({
    ...s3Settings(secure),
    endpoint: `https://127.0.0.1:${secure.port}`,
    ...more,
  });

  test("a certificate must be trusted", async () => {
    const error = await failureOf((await open(tls({}))).check());
    expect(error.kind).toBe("misconfigured");
    expect(error.message).toContain(`the certificate of 127.0.0.1:${secure.port} is not trusted`);
    expect(await (await open(tls({ ca_file: `${folder.path}/server.crt` }))).check()).toEqual([]);
    expect(await (await open(tls({ insecure_skip_verify: true }))).check()).toEqual([
      expect.stringContaining("insecure_skip_verify"),
    ]);
    expect((await failureOf(open(tls({ ca_file: "/none" })))).message).toStartWith("Cannot read ca_file /none");
  });
});

test("the bucket is in the host name unless path_style is set", async () => {
  const seen: string[] = [];
  server.intercept = (request) => {
    seen.push(new URL(request.url).host);
    return undefined;
  };
  const storage = await open(settings({ path_style: false, endpoint: `http://localhost:${server.port}` }));
  const error = await storage.put("virtual", Buffer.from("x")).catch((thrown: unknown) => String(thrown));
  // Not every machine resolves names below localhost.
  if (seen.length > 0) expect(seen).toEqual([`holdfast.localhost:${server.port}`]);
  else expect(error).toContain(`holdfast.localhost:${server.port}`);
});

describe("through a bad network", () => {
  let proxy: TcpProxy;
  beforeAll(async () => {
    proxy = await startTcpProxy(server.port);
  });
  afterAll(() => proxy[Symbol.asyncDispose]());
  beforeEach(() => proxy.behave());
  const proxied = (more: Partial<S3Input> = {}) =>
    open(settings({ endpoint: `http://127.0.0.1:${proxy.port}`, ...more }));

  test("an upload that is cut is whole or absent", async () => {
    for (const bytes of [0, 10, 1000, 3_000_000, 9_000_000, large.length]) {
      const storage = await proxied({ attempts: 1 });
      proxy.cutAfter(bytes);
      expect((await failureOf(storage.put("cut", large))).kind).toBe("unavailable");
      proxy.behave();
      expect(await storage.stat("cut")).toBeUndefined();
    }
    await (await proxied()).removeUnfinished(new Date(Date.now() + 1000));
  }, 120_000);

  test("a download that is cut ends with an error", async () => {
    await (await proxied()).put("whole", large);
    for (const bytes of [1000, 100_000, 5_000_000, large.length]) {
      const storage = await proxied({ attempts: 1 });
      proxy.cutAfter(bytes);
      const download = storage.get("whole").then(({ stream }) => collect(stream, 1 << 30));
      expect((await failureOf(download)).kind).toBe("unavailable");
      proxy.behave();
      expect(sha256(await collect((await storage.get("whole")).stream, 1 << 30))).toBe(sha256(large));
    }
  });

  test("a server that falls silent is given up", async () => {
    const storage = await proxied({ timeout: "200ms", attempts: 1 });
    proxy.cut();
    proxy.refuse("hang");
    const error = await failureOf(storage.stat("x"));
    expect([error.kind, error.message]).toEqual(["unavailable", expect.stringContaining("did not answer in time")]);
  });

  test("data in small pieces, and late, is the same data", async () => {
    proxy.split(7000);
    const storage = await proxied();
    await storage.put("pieces", large.subarray(0, 1_000_000));
    expect(sha256(await collect((await storage.get("pieces")).stream, 1 << 30))).toBe(
      sha256(large.subarray(0, 1_000_000)),
    );
  });
});
