/** The parts of the S3 client that need no server. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseCredentials } from "../../../../../plugins/common/storage/s3/credentials.ts";
import { encodePath, sha256, sign } from "../../../../../plugins/common/storage/s3/signature.ts";
import { collectParts, partSizes } from "../../../../../plugins/common/storage/s3/upload.ts";
import { elements, escapeXml, textOf, unescapeXml } from "../../../../../plugins/common/storage/s3/xml.ts";

/** Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html */
describe("the signatures of Amazon's examples", () => {
  const credentials = {
    accessKeyId: "AKIAIOSFODNN7EXAMPLE",
    secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
  };
  const host = "https://examplebucket.s3.amazonaws.com";
  const base = { region: "us-east-1", now: new Date("2013-05-24T00:00:00Z"), payloadSha256: sha256("") };
  const examples = [
    [
      "GET",
      "/test.txt",
      { range: "bytes=0-9" },
      base.payloadSha256,
      "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ],
    [
      "PUT",
      "/test%24file.text",
      { date: "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY" },
      sha256("Welcome to Amazon S3."),
      "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ],
    ["GET", "/?lifecycle=", {}, base.payloadSha256, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"],
    [
      "GET",
      "/?max-keys=2&prefix=J",
      {},
      base.payloadSha256,
      "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ],
  ] as const;
  test.each(examples)("%s %s", (method, path, headers, payloadSha256, signature) => {
    const signed = sign({ ...base, method, url: new URL(host + path), headers, payloadSha256 }, credentials);
    expect(signed.authorization).toEndWith(`Signature=${signature}`);
  });
});

test("a key's path is encoded in a way that URLs leave alone", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (key) => {
      const path = `/${encodePath(`x${key}`)}`;
      const url = new URL("http://host");
      url.pathname = path;
      expect(url.pathname).toBe(path);
      expect(decodeURIComponent(path)).toBe(`/x${key}`);
    }),
  );
});

test("XML text is read as it was written", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      expect(unescapeXml(escapeXml(text))).toBe(text);
      expect(textOf(`<a><Key>${escapeXml(text)}</Key></a>`, "Key")).toBe(text);
    }),
  );
  expect([...elements("<a>1</a><b>2</b><a>3</a><a>", "a")]).toEqual(["1", "3"]);
  expect(unescapeXml("&#x41;&#66;&quot;&none;&#x110000;")).toBe('AB"&none;&#x110000;');
});

test("content is cut into parts of a size, and the last is known as such", async () => {
  const property = fc.asyncProperty(
    fc.array(fc.uint8Array({ maxLength: 30 })),
    fc.integer({ min: 1, max: 20 }),
    async (chunks, size) => {
      async function* source() {
        yield* chunks;
      }
      const parts = await Array.fromAsync(collectParts(source(), () => size));
      expect(Buffer.concat(parts.map(({ bytes }) => bytes))).toEqual(Buffer.concat(chunks));
      expect(
        parts.every(
          ({ bytes, isLast }, index) => isLast === (index === parts.length - 1) && (isLast || bytes.length === size),
        ),
      ).toBe(true);
    },
  );
  await fc.assert(property);
});

test("ten thousand parts are enough for content of a known size, and for terabytes of an unknown one", () => {
  const partBytes = 16 * 2 ** 20;
  expect(partSizes({ partBytes, sizeBytes: 2 ** 40 })(0) * 10_000).toBeGreaterThanOrEqual(2 ** 40);
  expect(partSizes({ partBytes, sizeBytes: 1000 })(0)).toBe(partBytes);
  const unknown = partSizes({ partBytes });
  let total = 0;
  for (let index = 0; index < 10_000; index++) total += unknown(index);
  expect(total).toBeGreaterThan(2 ** 40);
});

test("keys are read from a file as the AWS tools have it", () => {
  const file =
    "# keys\n[default]\naws_access_key_id=A\naws_secret_access_key = s=/+ \n\n[ other ]\r\naws_access_key_id = B\r\n[profile third]\nAWS_ACCESS_KEY_ID = C\nAWS_SECRET_ACCESS_KEY = topsecret\naws_session_token = t\n";
  expect(parseCredentials(file, "default")).toEqual({ accessKeyId: "A", secretAccessKey: "s=/+" });
  expect(parseCredentials(file, "third")).toEqual({
    accessKeyId: "C",
    secretAccessKey: "topsecret",
    sessionToken: "t",
  });
  expect(() => parseCredentials(file, "other")).toThrow('the profile "other" has no aws_secret_access_key');
  expect(() => parseCredentials(file, "none")).toThrow('there is no profile "none"');
});
