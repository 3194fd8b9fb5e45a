import { expect, test } from "bun:test";
import fc from "fast-check";
import { prefersGzip } from "../../../agent/http/accept-encoding.ts";

test.each([
  ["gzip", true],
  ["gzip, deflate, br", true],
  ["GZIP;Q=0.5", true],
  ["x-gzip", true],
  ["*", true],
  ["br;q=1.0, *;q=0.1", true],
  ["identity;q=0.5, gzip", true],
  ["gzip;q=0", false],
  ["gzip;q=0.000", false],
  ["*, gzip;q=0", false],
  ["gzip;q=0.5, identity", false],
  ["gzip;q=many", false],
  ["gzip;q=2", false],
  ["deflate, br", false],
  ["", false],
  [undefined, false],
] as const)("Accept-Encoding %p: gzip is preferred: %p", (header, expected) => {
  expect(prefersGzip(header)).toBe(expected);
});

test("no header makes prefersGzip() fail", () => {
  fc.assert(fc.property(fc.string(), (header) => typeof prefersGzip(header) === "boolean"));
});
