/** The encrypted container, byte for byte and against everything that can happen to it. */
import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { decrypt, decryptedSize, encrypt, encryptedSize } from "../../../../../plugins/common/codec/aes.ts";
import { deriveKey } from "../../../../../plugins/common/codec/aes-key.ts";
import { bytesOf, chunked, codecError } from "./streams.ts";

const password = "qwerty123";
const salt = Buffer.from("000102030405060708090a0b0c0d0e0f", "hex");
/** Source: computed by two other libraries, and by pgrwl's own. */
const vector = Buffer.from(
  "414541447631000102030405060708090a0b0c0d0e0f0000000000000000000000008169613f30e925818c0f8c9b905b3059b61de5cd4d",
  "hex",
);
const open = (container: Uint8Array, chunk = 1 << 20) => bytesOf(decrypt(chunked(container, chunk), password));
const seal = (content: Uint8Array) => bytesOf(encrypt(chunked(content, 50_000), password));

test("the key is Argon2id's", async () => {
  expect((await deriveKey(password, salt)).toString("hex")).toBe(
    "67702e073f0b0216e38fdbe9b6b9dd7465c3cfc534ecd65ebda2d95c18485c0a",
  );
});

test("the container is that of the test vector, and it is read", async () => {
  expect((await bytesOf(encrypt(chunked(Buffer.from("hello"), 2), password, salt))).toString("hex")).toBe(
    vector.toString("hex"),
  );
  expect((await open(vector, 1)).toString()).toBe("hello");
});

test("the salt is another one each time", async () => {
  const [one, other] = [await seal(Buffer.from("x")), await seal(Buffer.from("x"))];
  expect(one.subarray(6, 22).equals(other.subarray(6, 22))).toBe(false);
});

test.each([0, 1, 65_535, 65_536, 65_537, 131_072, 200_000])(
  "content of %i bytes has chunks as pgrwl makes them",
  async (size) => {
    const content = randomBytes(size);
    const container = await seal(content);
    expect(container.length).toBe(22 + size + 28 * Math.ceil(size / 65_536));
    expect(encryptedSize(size)).toBe(container.length);
    expect(decryptedSize(container.length)).toBe(size);
    expect(Buffer.compare(await open(container, 999), content)).toBe(0);
  },
);

test("a size is that of a container, or of none", () => {
  fc.assert(
    fc.property(fc.nat({ max: 1 << 30 }), (size) => {
      expect(decryptedSize(encryptedSize(size))).toBe(size);
    }),
  );
  for (const size of [0, 21, 23, 50, 22 + 65_564 + 1, 22 + 65_564 + 28]) expect(decryptedSize(size)).toBeUndefined();
});

test("a container that ends anywhere before its end is noticed, but for the end of its header", async () => {
  for (let length = 0; length < vector.length; length++) {
    const outcome = await codecError(open(vector.subarray(0, length)));
    // Empty content has a header and nothing else.
    expect([length, outcome]).toEqual([
      length,
      length < 22 ? "truncated" : length === 22 ? "no error" : length <= 50 ? "truncated" : "password",
    ]);
  }
});

test("one of several chunks that ends anywhere but between two of them is noticed", async () => {
  const content = randomBytes(150_000);
  const container = await seal(content);
  const [first, second] = [22 + 65_564, 22 + 2 * 65_564];
  const around = [first, second, container.length].flatMap((end) => [
    end - 30,
    end - 1,
    end + 1,
    end + 12,
    end + 28,
    end + 29,
  ]);
  for (const length of around.filter((end) => end < container.length)) {
    expect([length, await codecError(open(container.subarray(0, length)))]).toEqual([
      length,
      expect.stringMatching(/truncated|password/),
    ]);
  }
  for (const length of [first, second]) expect(await codecError(open(container.subarray(0, length)))).toBe("no error");
});

test("any flipped bit is noticed", async () => {
  for (let at = 0; at < vector.length; at++) {
    const flipped = Buffer.from(vector);
    flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << (at % 8)), at);
    expect([at, await codecError(open(flipped))]).toEqual([at, expect.stringMatching(/corrupt|password/)]);
  }
  const container = await seal(randomBytes(150_000));
  const anywhere = fc.asyncProperty(fc.nat({ max: container.length - 1 }), fc.nat({ max: 7 }), async (at, bit) => {
    const flipped = Buffer.from(container);
    flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << bit), at);
    expect(await codecError(open(flipped))).toMatch(/corrupt|password|truncated/);
  });
  await fc.assert(anywhere, { numRuns: 30 });
});

test("chunks that are missing, repeated or moved are noticed", async () => {
  const container = await seal(randomBytes(3 * 65_536));
  const [header, ...chunks] = [
    container.subarray(0, 22),
    ...[0, 1, 2].map((n) => container.subarray(22 + n * 65_564, 22 + (n + 1) * 65_564)),
  ];
  const together = (...order: number[]) =>
    Buffer.concat([header ?? Buffer.alloc(0), ...order.flatMap((n) => chunks[n] ?? [])]);
  expect(await codecError(open(together(0, 1, 2)))).toBe("no error");
  for (const order of [
    [1, 2],
    [0, 2],
    [0, 0, 1, 2],
    [0, 2, 1],
    [2, 1, 0],
  ]) {
    expect([order, await codecError(open(together(...order)))]).toEqual([order, "corrupt"]);
  }
});

test("a wrong password is told as one", async () => {
  expect(await codecError(bytesOf(decrypt(chunked(vector, 100), "qwerty124")))).toBe("password");
});

test("something else is no container", async () => {
  expect(await codecError(open(Buffer.from("plain text, and long enough for a header")))).toBe("corrupt");
});
