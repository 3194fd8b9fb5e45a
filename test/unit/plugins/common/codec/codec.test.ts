/** The codecs: what comes out is what went in, or an error says that it is not. */
import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { decode, encode, extensionOf, extensions, splitExtension } from "../../../../../plugins/common/codec/codec.ts";
import { type CodecSettingsInput, codecSettings } from "../../../../../plugins/common/codec/settings.ts";
import { bytesOf, chunked, codecError, trackedSource } from "./streams.ts";

const password = "qwerty123";
const all: readonly [string, CodecSettingsInput][] = [
  ["", {}],
  [".gz", { compression: "gzip" }],
  [".zst", { compression: "zstd" }],
  [".aes", { encryption_password: password }],
  [".gz.aes", { compression: "gzip", encryption_password: password }],
  [".zst.aes", { compression: "zstd", encryption_password: password }],
];
const stored = async (content: Uint8Array, settings: CodecSettingsInput) =>
  await bytesOf(encode(chunked(content, 1000), codecSettings.parse(settings)));
const read = (content: Uint8Array, name: string, more: { sizeBytes?: number; maxBytes?: number } = {}) =>
  bytesOf(decode(chunked(content, 777), name, { password, maxBytes: 1 << 24, ...more }));

test.each(all)("what is stored as %j has that extension and is read back", async (extension, settings) => {
  expect(extensionOf(codecSettings.parse(settings))).toBe(extension);
  for (const content of [
    randomBytes(0),
    randomBytes(1),
    randomBytes(65_536),
    randomBytes(200_001),
    Buffer.alloc(300_000),
  ]) {
    expect(Buffer.compare(await read(await stored(content, settings), `00000002.history${extension}`), content)).toBe(
      0,
    );
  }
});

test("any content in any chunks is read back through compression", async () => {
  const settings = fc.constantFrom<[string, CodecSettingsInput]>(
    [".gz", { compression: "gzip", compression_level: 1 }],
    [".zst", { compression: "zstd", compression_level: 5 }],
  );
  const property = fc.asyncProperty(
    settings,
    fc.array(fc.uint8Array({ maxLength: 3000 })),
    async ([name, codec], chunks) => {
      const encoded = await bytesOf(encode(chunked(Buffer.concat(chunks), 100), codecSettings.parse(codec)));
      expect(Buffer.compare(await read(encoded, name), Buffer.concat(chunks))).toBe(0);
    },
  );
  await fc.assert(property, { numRuns: 60 });
});

test.each([
  ["000000010000000000000003.gz.aes", "000000010000000000000003", ".gz.aes"],
  ["000000010000000000000003.partial.zst", "000000010000000000000003.partial", ".zst"],
  ["00000002.history", "00000002.history", ""],
  ["x.aes.gz", "x.aes", ".gz"],
])("splitExtension() parts %s", (storedName, name, extension) => {
  expect(splitExtension(storedName)).toEqual({ name, extension });
  expect(extensions).toContain(extension);
});

describe.each([
  [".gz", gzipSync],
  [".zst", (content: Uint8Array) => zstdCompressSync(content)],
] as const)("a %s stream", (name, compress) => {
  const one = Buffer.from("one ".repeat(50));
  const other = Buffer.from("other ".repeat(50));

  test("may have several members", async () => {
    const both = Buffer.concat([compress(one), compress(Buffer.alloc(0)), compress(other)]);
    for (const size of [1, 7, 1000]) {
      const decoded = await bytesOf(decode(chunked(both, size), name, { maxBytes: 1 << 20 }));
      expect(decoded.toString()).toBe(one.toString() + other.toString());
    }
  });

  test("that ends anywhere before its end is truncated", async () => {
    const whole = compress(one);
    for (let length = 0; length < whole.length; length++) {
      expect(await codecError(read(whole.subarray(0, length), name))).toBe("truncated");
    }
  });

  test("cut between two members is known only by the expected size", async () => {
    const cut = compress(one);
    expect((await read(cut, name)).toString()).toBe(one.toString());
    expect(await codecError(read(cut, name, { sizeBytes: one.length + other.length }))).toBe("truncated");
  });

  test("with something else behind it is corrupt", async () => {
    expect(await codecError(read(Buffer.concat([compress(one), Buffer.from("junk, junk")]), name))).toBe("corrupt");
  });

  test("of another format is corrupt", async () => {
    expect(await codecError(read(Buffer.from("plain text, nothing else"), name))).toBe("corrupt");
  });

  test("that decodes to more than allowed is ended", async () => {
    const bomb = compress(Buffer.alloc(50 << 20));
    let given = 0;
    const decoding = async () => {
      for await (const chunk of decode(chunked(bomb, 1 << 16), name, { maxBytes: 1 << 20 })) given += chunk.byteLength;
    };
    expect(await codecError(decoding())).toBe("too-large");
    expect(given).toBeLessThanOrEqual(1 << 20);
  });
});

test("content of another size than expected is an error in any format", async () => {
  for (const [name, settings] of all) {
    const encoded = await stored(randomBytes(1000), settings);
    expect(await codecError(read(encoded, name, { sizeBytes: 1001 }))).toBe("truncated");
    expect(await codecError(read(encoded, name, { sizeBytes: 999 }))).toBe("corrupt");
  }
});

test("encrypted content without a password is refused, and its source closed", async () => {
  const { source, state } = trackedSource([Buffer.from("AEADv1")]);
  expect(await codecError(bytesOf(decode(source, "x.gz.aes", { maxBytes: 1 })))).toBe("password");
  expect(state.isClosed).toBe(true);
});

describe.each(all)("with %j", (name, settings) => {
  const codec = codecSettings.parse(settings);

  test("an error of the source is what the reader gets, and the source is closed", async () => {
    const boom = new Error("boom");
    for (const open of [
      encode,
      (source: AsyncIterable<Uint8Array>) => decode(source, name, { password, maxBytes: 1e9 }),
    ]) {
      const valid = await stored(randomBytes(300_000), settings);
      const { source, state } = trackedSource(
        [open === encode ? randomBytes(100_000) : valid.subarray(0, 100_000)],
        boom,
      );
      const outcome = await bytesOf(open(source, codec)).catch((error: unknown) => error);
      expect(outcome).toBe(boom);
      expect(state.isClosed).toBe(true);
    }
  });

  test("a reader that stops, at once or later, closes the source", async () => {
    const valid = await stored(randomBytes(3_000_000), settings);
    for (const reads of [0, 1]) {
      for (const open of [
        encode,
        (source: AsyncIterable<Uint8Array>) => decode(source, name, { password, maxBytes: 1e9 }),
      ]) {
        const { source, state } = trackedSource(
          open === encode ? Array(40).fill(randomBytes(100_000)) : [...pieces(valid)],
        );
        const reader = open(source, codec).getReader();
        for (let n = 0; n < reads; n++) await reader.read();
        await reader.cancel();
        expect(state.isClosed || state.given === 0).toBe(true);
        expect(state.given).toBeLessThan(40);
      }
    }
  });

  test("nothing is read that nobody asked for", async () => {
    const { source, state } = trackedSource(Array.from({ length: 60 }, () => randomBytes(100_000)));
    const reader = encode(source, codec).getReader();
    await reader.read();
    // Time enough to read on.
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(state.given).toBeLessThan(30);
    await reader.cancel();
  });
});

function* pieces(content: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < content.length; at += 10_000) yield content.subarray(at, at + 10_000);
}
