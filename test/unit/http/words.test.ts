import { expect, test } from "bun:test";
import { count, relative, span, took } from "../../../agent/http/words.ts";

test.each([
  [-5, "0 s"],
  [59.9, "59 s"],
  [3599, "59 min"],
  [7200, "2 h"],
  [8100, "2 h 15 min"],
  [86_400, "1 d"],
  [795_600, "9 d 5 h"],
])("span(%p) is %p", (seconds, text) => expect(span(seconds)).toBe(text));

test.each([
  [0, "< 1 ms"],
  [0.0031, "3 ms"],
  [0.4183, "0.42 s"],
  [9.999, "10.0 s"],
  [30.002, "30.0 s"],
  [59.97, "59 s"],
  [90, "1 min"],
])("took(%p) is %p", (seconds, text) => expect(took(seconds)).toBe(text));

test("relative() looks both ways", () => {
  expect([relative(1000, 1500), relative(0, 42_000), relative(300_000, 0)]).toEqual(["now", "42 s ago", "in 5 min"]);
});

test("count() agrees with its noun", () => {
  expect([count(1, "instance", "instances"), count(12_345, "one", "series")]).toEqual(["1 instance", "12,345 series"]);
});
