import { expect, test } from "bun:test";
import fc from "fast-check";
import { readDocument } from "../../../../plugins/walg/document.ts";

const isList = (value: unknown): value is unknown[] => Array.isArray(value);
const list = '[{"backup_name":"a","user_data":[1,"]{"]}]';

test.each([
  ["a byte order mark", `\ufeff${list}`],
  ["a log line before it", `WARNING: 2026/01/02 03:04:05.123456 something [odd] {here}\n${list}\n`],
  ["a bracket that begins a log line", `[2026/01/02] INFO: started\n[main] [{go struct}] x\n${list}`],
  ["an unclosed bracket in a log line", `INFO: map[{open\n${list}`],
  ["a quote in a log line", `WARNING: can't read "config\n${list}`],
  ["a log line behind it", `${list}\nINFO: done []\n`],
  ["a log line glued to it", `${list}INFO: 2026/01/02 done [] {}`],
  ["a prefix in its own line", `DEBUG: answer [] is ${list}`],
  ["a structured log line", `{"level":"warn","msg":"x"}\n${list}`],
  ["white space and indentation", `\n  ${JSON.stringify(JSON.parse(list), null, 4)}\n\n`],
])("the document is found in spite of %s", (_, output) => {
  expect(readDocument(output, isList)).toEqual(JSON.parse(list));
});

test("an empty list is found among log lines too", () => {
  expect(readDocument("INFO: 2026/01/02 nothing there\n[]\n", isList)).toEqual([]);
});

test.each([
  "",
  "   ",
  "null",
  "{}",
  "[",
  '{"a":[]}',
  "INFO: nothing",
  list.slice(0, -1),
  `${list.slice(0, -3)}\nINFO: []`.replace("\nINFO: []", ""),
])("%j is refused", (output) => {
  expect(() => readDocument(output, isList)).toThrow(SyntaxError);
});

test("no part of a truncated document is taken for the whole, wherever it ends", () => {
  const whole = JSON.stringify([
    { backup_name: "a", user_data: [] },
    { backup_name: "b", user_data: [{}] },
  ]);
  for (let length = 0; length < whole.length; length++) {
    expect(() => readDocument(whole.slice(0, length), isList)).toThrow(SyntaxError);
    expect(() => readDocument(`INFO: x\n${whole.slice(0, length)}\n`, isList)).toThrow(SyntaxError);
  }
});

test("large integers arrive as their digits, and only where wal-g has them", () => {
  const text =
    '[{"start_lsn":18446744073709551615,"finish_lsn" : -9007199254740993,"note":"\\"start_lsn\\":9007199254740993,","system_identifier":7507672962298572862}]';
  expect(readDocument(text, isList)).toEqual([
    {
      start_lsn: "18446744073709551615",
      finish_lsn: "-9007199254740993",
      note: '"start_lsn":9007199254740993,',
      system_identifier: "7507672962298572862",
    },
  ]);
});

test("any document is found in any noise that holds no document", () => {
  const noise = fc.string().map((text) => text.replace(/[[\]{}"]/g, "."));
  const document = fc.array(fc.record({ backup_name: fc.string() }), { minLength: 1 });
  fc.assert(
    fc.property(noise, document, noise, (before, value, after) => {
      expect(readDocument(`${before}\n${JSON.stringify(value)}\n${after}`, isList)).toEqual(value);
    }),
  );
});
