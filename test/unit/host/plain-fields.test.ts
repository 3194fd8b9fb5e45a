import { expect, test } from "bun:test";
import fc from "fast-check";
import { plainFields, plainMessage } from "../../../agent/host/plain-fields.ts";

test("fields of any kind become texts, numbers and booleans", () => {
  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;
  const fields = {
    number: 1.5,
    yes: true,
    nothing: undefined,
    lsn: 22n,
    symbol: Symbol("s"),
    error: new Error("inner"),
    date: new Date(0),
    list: [1, 2],
    empty: null,
    cyclic,
    get thrower() {
      throw new Error("getter");
    },
  };
  expect(plainFields(fields)).toEqual({
    number: 1.5,
    yes: true,
    lsn: "22",
    symbol: "Symbol(s)",
    error: "inner",
    date: '"1970-01-01T00:00:00.000Z"',
    list: "[1,2]",
    empty: "null",
    cyclic: "a value that cannot be shown",
    thrower: "a value that cannot be shown",
  });
});

test("more than fifty fields are counted, and long names and texts cut", () => {
  const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`k${index}`, index]));
  expect(Object.keys(plainFields(many))).toHaveLength(51);
  expect(plainFields(many)).toMatchObject({ k0: 0, k49: 49, left_out: 950 });
  const [[name = "", value] = []] = Object.entries(plainFields({ ["n".repeat(1_000)]: "v".repeat(1e6) }));
  expect([name.length, String(value).length]).toEqual([100, 20_000]);
});

test("what is no object of fields is shown as a value", () => {
  expect(plainFields(undefined)).toEqual({});
  expect(plainFields(null)).toEqual({ value: "null" });
  expect(plainFields("text")).toEqual({ value: "text" });
  expect(plainMessage(Symbol("s"))).toBe("Symbol(s)");
  expect(plainMessage(undefined)).toBe("undefined");
});

test("whatever is logged can be cloned, and nothing throws", () => {
  fc.assert(
    fc.property(
      fc.anything({ withBigInt: true, withNullPrototype: true, withDate: true, withMap: true }),
      (anything) => {
        const fields = plainFields(anything);
        expect(structuredClone(fields)).toEqual(fields);
        expect(typeof plainMessage(anything)).toBe("string");
      },
    ),
  );
});
