import { expect, test } from "bun:test";
import fc from "fast-check";
import { extensions } from "../../../../../plugins/common/codec/codec.ts";
import {
  candidatesOf,
  objectNameOf,
  parseObjectName,
  parseWalFileName,
} from "../../../../../plugins/common/wal-archive/object-names.ts";

const segment = "00000001000000A000000003";

test.each([
  [segment, "segment", segment],
  [`${segment}.partial`, "partial", segment],
  [`${segment}.00000028.backup`, "label", segment],
  ["0000000A.history", "history", "0000000A"],
] as const)("%s is a %s", (name, kind, base) => {
  expect(parseWalFileName(name)).toEqual({ name, kind, base });
});

test.each([
  "",
  segment.toLowerCase(),
  segment.slice(1),
  `${segment}0`,
  `${segment}\n`,
  `../${segment}`,
  `${segment}/`,
  `${segment}.gz`,
  `${segment}.partial.partial`,
  `${segment}.tmp`,
  "0000000A.history.tmp",
  "0000000a.history",
  ".",
])("%j is none, and is never looked up", (name) => {
  expect(parseWalFileName(name)).toBeUndefined();
  expect(() => candidatesOf(name, "", [""])).toThrow(RangeError);
  expect(() => objectNameOf(name, "")).toThrow(RangeError);
});

test("no other name leads out of the folder", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 40 }), (name) => {
      expect(parseWalFileName(name) === undefined || /^[0-9A-F]{8,24}[.0-9A-Za-z]*$/.test(name)).toBe(true);
    }),
  );
});

test("what is written now is looked for first, then the rest in pgrwl's order, then its early layout", () => {
  expect(candidatesOf(segment, ".zst", ["wal-archive", ""])).toEqual([
    ...[".zst", ".gz.aes", ".zst.aes", ".gz", ".aes", ""].map((one) => `wal-archive/${segment}${one}`),
    ...[".zst", ".gz.aes", ".zst.aes", ".gz", ".aes", ""].map((one) => segment + one),
  ]);
});

test("each name of an object is read back", () => {
  for (const extension of extensions) {
    for (const name of [segment, `${segment}.partial`, "00000002.history"]) {
      const objectName = objectNameOf(name, extension);
      expect(parseObjectName(objectName)).toMatchObject({ name, objectName, folder: "wal-archive", extension });
      expect(parseObjectName(name + extension)).toMatchObject({ name, folder: "", extension });
    }
  }
});

test.each(["backups/20260101000000/base.tar.gz", `deep/wal-archive/${segment}`, `${segment}.lz4`, ".manifest.json"])(
  "%s is no WAL",
  (objectName) => {
    expect(parseObjectName(objectName)).toBeUndefined();
  },
);
