import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  address,
  duration,
  formatAddress,
  parseAddress,
  parseDuration,
  parseSize,
  size,
} from "../../../agent/sdk/units.ts";

test.each([
  ["90s", 90],
  ["1h30m", 5400],
  ["250ms", 0.25],
  ["7d", 604_800],
  ["1w", 604_800],
  ["0", 0],
  ["1.5m", 90],
])("parseDuration() reads %s", (text, seconds) => {
  expect(parseDuration(text)).toBe(seconds);
});

test.each(["", "60", "s", "-1s", "1 s", "30x", "1e3s", " 1s", "1s\n", ".5s"])("parseDuration() refuses %j", (text) => {
  expect(parseDuration(text)).toBeUndefined();
});

test("parseDuration() adds up the parts of any duration", () => {
  const units = { w: 604_800, d: 86_400, h: 3600, m: 60, s: 1 } as const;
  const part = fc.tuple(fc.nat(1000), fc.constantFrom(...(Object.keys(units) as (keyof typeof units)[])));
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), (parts) => {
      const text = parts.map(([amount, unit]) => `${amount}${unit}`).join("");
      expect(parseDuration(text)).toBe(parts.reduce((sum, [amount, unit]) => sum + amount * units[unit], 0));
    }),
  );
});

test.each([
  ["16MiB", 16 * 2 ** 20],
  ["1GB", 1e9],
  ["512", 512],
  ["1.5 KiB", 1536],
  ["8.2TB", 8.2e12],
  ["0.1kB", 100],
])("parseSize() reads %s", (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each(["", "MiB", "-1", "0.1KiB", "1mb", "1iB", "1 MB ", "9999999TiB", "1e3"])("parseSize() refuses %j", (text) => {
  expect(parseSize(text)).toBeUndefined();
});

test("parseSize() reads every number of bytes that has up to three decimals", () => {
  const units = { kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 } as const;
  fc.assert(
    fc.property(fc.nat(9_000_000), fc.constantFrom(...(Object.keys(units) as (keyof typeof units)[])), (n, unit) => {
      const text = `${Math.floor(n / 1000)}.${String(n % 1000).padStart(3, "0")}${unit}`;
      expect(parseSize(text)).toBe(n * (units[unit] / 1000));
    }),
  );
});

test.each([
  ["127.0.0.1:9847", "127.0.0.1", 9847],
  [":9351", "", 9351],
  ["[::1]:80", "::1", 80],
  ["[fe80::1%eth0]:80", "fe80::1%eth0", 80],
  ["localhost:0", "localhost", 0],
])("parseAddress() reads %s", (text, host, port) => {
  expect(parseAddress(text)).toEqual({ host, port });
});

test.each(["", "9847", ":", ":65536", "a b:1", "::1:80", "http://a:1", "[::1]", "a:-1", "a:1/x"])(
  "parseAddress() refuses %j",
  (text) => {
    expect(parseAddress(text)).toBeUndefined();
  },
);

test("parseAddress() reads back whatever formatAddress() writes", () => {
  const host = fc.oneof(fc.constant(""), fc.ipV4(), fc.ipV6(), fc.domain());
  fc.assert(
    fc.property(host, fc.nat(65_535), (host, port) => {
      expect(parseAddress(formatAddress({ host, port }))).toEqual({ host, port });
    }),
  );
});

test("no parser throws, whatever the text", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      for (const parse of [parseDuration, parseSize, parseAddress]) parse(text);
      for (const schema of [duration(), size(), address()]) schema.safeParse(text);
    }),
  );
});

test("the schemas say what would do", () => {
  expect(duration().safeParse("30x").error?.issues[0]?.message).toBe('expected a duration such as "30s" or "1h30m"');
  expect(size().safeParse(true).error?.issues[0]?.message).toBe('expected a size such as "16MiB" or "1GB"');
  expect(address().safeParse("x").error?.issues[0]?.message).toBe(
    'expected an address such as "127.0.0.1:9847" or ":9351"',
  );
});
