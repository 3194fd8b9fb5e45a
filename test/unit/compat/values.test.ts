import { expect, test } from "bun:test";
import fc from "fast-check";
import { goBoolean, parseGoFlags, parsePythonFlags } from "../../../agent/compat/arguments.ts";
import { calledAs, type originalNamed } from "../../../agent/compat/names.ts";
import { literal } from "../../../agent/compat/tool.ts";
import { durationOf, formatSeconds, parseGoDuration } from "../../../agent/compat/values.ts";
import { parseReferences } from "../../../agent/config/references.ts";
import { parseDuration } from "../../../agent/sdk/units.ts";

test.each([
  ["1h30m", 5400],
  ["1.5h", 5400],
  [".5s", 0.5],
  ["5.s", 5],
  ["1m0s", 60],
  ["100ms", 0.1],
  ["1µs", 1e-6],
  ["1us", 1e-6],
  ["-3s", -3],
  ["+3s", 3],
  ["0", 0],
  ["-0", 0],
  ["", undefined],
  ["3", undefined],
  ["1d", undefined],
  ["1 s", undefined],
  ["s", undefined],
  [".s", undefined],
])("a duration of Go's %j is %p seconds", (text, seconds) => {
  expect(parseGoDuration(text)).toBe(seconds);
});

test("every duration of Go's that is not negative has a spelling here that means the same", () => {
  const part = fc.tuple(fc.integer({ min: 0, max: 10_000 }), fc.constantFrom("us", "ms", "s", "m", "h"));
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), (parts) => {
      const text = parts.map(([amount, unit]) => `${amount}${unit}`).join("");
      expect(parseDuration(durationOf("x", text)) ?? Number.NaN).toBeCloseTo(parseGoDuration(text) ?? Number.NaN, 5);
    }),
  );
});

test.each([
  [90, "90s"],
  [0.5, "500ms"],
  [1e-6, "0.001ms"],
])("%p seconds are %j", (seconds, text) => {
  expect(formatSeconds(seconds)).toBe(text);
});

test("durations that are negative, too short or none are refused by the flag's name", () => {
  expect(() => durationOf("-x", "-3s")).toThrow('Cannot read -x "-3s": expected a duration that is not negative');
  expect(() => durationOf("-x", "3s", 60)).toThrow('Cannot read -x "3s": expected at least 60s');
  expect(() => durationOf("-x", "soon")).toThrow('Cannot read -x "soon": expected a duration such as');
});

test("the twelve spellings of a boolean, and no other", () => {
  for (const text of ["1", "t", "T", "true", "TRUE", "True"]) expect(goBoolean("x", text)).toBe(true);
  for (const text of ["0", "f", "F", "false", "FALSE", "False"]) expect(goBoolean("x", text)).toBe(false);
  for (const text of ["", "yes", "tRUE", "2"]) expect(() => goBoolean("x", text)).toThrow("expected true or false");
});

test("a text that stands for itself is never a reference", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("$", "{", "}", "A", ":") }), (text) => {
      const parts = parseReferences(literal(text));
      expect(parts.every((part) => typeof part === "string")).toBe(true);
      expect(parts.join("")).toBe(text);
    }),
  );
});

const known = [
  { name: "out", value: "PATH", here: "" },
  { name: "config", short: "c", value: "FILE", here: "" },
  { name: "fast", here: "" },
  { name: "old", here: "", refused: "use --fast" },
];

test("Go's flags: one or two dashes, with and without =, up to the first argument that is none", () => {
  const { flags, operands } = parseGoFlags("x", ["-out", "a", "--config=b=c", "-fast=false", "-", "-fast"], known);
  expect([...flags]).toEqual([
    ["out", "a"],
    ["config", "b=c"],
    ["fast", "false"],
  ]);
  expect(operands).toEqual(["-", "-fast"]);
  expect(parseGoFlags("x", ["-c", "f", "--", "-fast"], known)).toEqual({
    flags: new Map([["config", "f"]]),
    operands: ["-fast"],
  });
});

test("Python's flags: attached values, and operands between them", () => {
  const { flags, operands } = parsePythonFlags("x", ["-cfile", "a", "--out=b", "--fast", "--", "-c"], known);
  expect(Object.fromEntries(flags)).toEqual({ config: "file", out: "b", fast: "true" });
  expect(operands).toEqual(["a", "-c"]);
});

test.each([
  [["--oout", "x"], "Unknown flag --oout, did you mean --out?; see x --help"],
  [["-out"], "-out needs a value: -out=PATH"],
  [["-fast=maybe"], 'Cannot read -fast "maybe": expected true or false'],
  [["-old"], "Cannot do what -old asks for: use --fast"],
])("%j is refused by name", (args, message) => {
  expect(() => parseGoFlags("x", args, known)).toThrow(message);
});

test.each([
  ["pgrwl", "pgrwl"],
  ["/usr/bin/pgrwl", "pgrwl"],
  ["./walg-exporter", "walg-exporter"],
  ["barman-metrics-exporter", "barman_exporter"],
  ["/opt/barman_exporter/exporter", "barman_exporter"],
  ["/usr/local/bin/prometheus-barman-exporter", "barman-exporter"],
  ["exporter", undefined],
  ["/opt/other/exporter", undefined],
  ["holdfast", undefined],
  ["bun", undefined],
  ["toString", undefined],
  ["", undefined],
])("called as %j it is %p", (argv0, name) => {
  expect(calledAs(argv0)).toBe(name as ReturnType<typeof originalNamed>);
});
