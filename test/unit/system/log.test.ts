import { expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { devNull } from "node:os";
import fc from "fast-check";
import { messageOf } from "../../../agent/host/failures.ts";
import { createStderrWriter, LogSink } from "../../../agent/system/log.ts";
import { formatRecord } from "../../../agent/system/logfmt.ts";
import { createRedactor } from "../../../agent/system/redact.ts";
import { parseLogfmt } from "./parse-logfmt.ts";

const at = Date.UTC(2026, 10, 21, 7, 34, 12, 5);

function collectLines() {
  const lines: string[] = [];
  return {
    lines,
    sink: new LogSink(
      (line) => void lines.push(line),
      () => at,
    ),
  };
}

test("a logfmt line has time, level, message and the fields in order", () => {
  const { lines, sink } = collectLines();
  const log = sink.createLog({ instance: "main", plugin: "barman" });
  log.warn("Collection failed", { reason: "timeout", duration_seconds: 30.00204, output: undefined });
  expect(lines).toEqual([
    'ts=2026-11-21T07:34:12.005Z level=warn msg="Collection failed" instance=main plugin=barman reason=timeout duration_seconds=30.002\n',
  ]);
});

test("a JSON line has the same fields with their types", () => {
  const { lines, sink } = collectLines();
  sink.configure({ level: "info", format: "json" });
  sink.createLog({ instance: "main" }).info("Collected", { series: 12, whole: true, ratio: Number.NaN });
  expect(JSON.parse(lines.join(""))).toEqual({
    ts: "2026-11-21T07:34:12.005Z",
    level: "info",
    msg: "Collected",
    instance: "main",
    series: 12,
    whole: true,
    ratio: "NaN",
  });
});

test("a field cannot take the place of a binding", () => {
  const { lines, sink } = collectLines();
  sink.createLog({ instance: "main" }).info("Collected", { instance: "other", server: "pg" });
  expect(lines).toEqual([
    "ts=2026-11-21T07:34:12.005Z level=info msg=Collected instance=main field_instance=other server=pg\n",
  ]);
});

test("any text survives logfmt and JSON, on one line and without control characters", () => {
  const texts = fc.string({ unit: "binary", maxLength: 200 });
  fc.assert(
    fc.property(texts, fc.dictionary(fc.stringMatching(/^[a-z_]{1,10}$/), texts), (message, fields) => {
      const record = { at, level: "info", message, fields } as const;
      const line = formatRecord(record, "logfmt");
      expect(line.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u);
      const read = parseLogfmt(line);
      const readJson = JSON.parse(formatRecord(record, "json"));
      expect(read.get("msg")).toBe(message.toWellFormed());
      expect(readJson.msg).toBe(message.toWellFormed());
      for (const [name, value] of Object.entries(fields)) {
        const shownName = ["ts", "level", "msg"].includes(name) ? `field_${name}` : name;
        expect(read.get(shownName)).toBe(value.toWellFormed());
        expect(readJson[shownName]).toBe(value.toWellFormed());
      }
    }),
  );
});

test("any field name gives a line that can be read", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (name) => {
      expect(
        parseLogfmt(formatRecord({ at, level: "info", message: "m", fields: { [name]: "v" } }, "logfmt")).size,
      ).toBe(4);
    }),
  );
});

test("a very long text is cut and says how much is missing", () => {
  const line = formatRecord({ at, level: "error", message: "m", fields: { stderr: "x".repeat(10_000) } }, "logfmt");
  expect(line.length).toBeLessThan(8_400);
  expect(line).toContain("… (1808 more characters)");
});

test("level and format change for logs that exist already", () => {
  const { lines, sink } = collectLines();
  const log = sink.createLog();
  log.debug("Unseen");
  sink.configure({ level: "debug", format: "json" });
  log.debug("Seen");
  sink.configure({ level: "error", format: "logfmt" });
  log.warn("Unseen");
  log.error("Broken");
  expect(lines.map((line) => line.slice(0, 5))).toEqual(['{"ts"', "ts=20"]);
});

test("secrets are shown neither in messages nor in fields, also not inside a URL", () => {
  const { lines, sink } = collectLines();
  const log = sink.createLog({ dsn: "host=db password=s3cr/et" }, ["s3cr/et", "s3cr", "abc", ""]);
  log.error("Cannot log in with s3cr/et", { url: "postgres://me:s3cr%2Fet@db", word: "abc" });
  expect(lines.join("")).not.toMatch(/s3cr|et@db/);
  expect(lines.join("")).toContain("word=abc");
});

test("a secret is not shown in quotes either, and one of several lines not in a message that was brought to one", () => {
  const password = 'pa"ss\\word';
  const key = `-----BEGIN PRIVATE KEY-----\n${"A".repeat(64)}\n${"B".repeat(64)}\nCCCC==\n-----END PRIVATE KEY-----`;
  const redact = createRedactor([password, key, "short\n\nlines"]);
  const quoted = redact(messageOf({ code: 7, dsn: `password=${password}` }));
  expect(quoted).toBe('{"code":7,"dsn":"password=[redacted]"}');
  expect(redact(messageOf(new Error(`Cannot parse ${key}`)))).not.toMatch(/AAAA|BBBB/);
  expect(redact(messageOf(new Error("Cannot parse short\n\nlines")))).toBe("Cannot parse [redacted]");
  expect(redact(JSON.stringify({ key }))).toBe('{"key":"[redacted]"}');
});

test("a secret may be as long as a bundle of certificates", () => {
  const bundle = Array.from({ length: 5_000 }, (_, index) => `${index}`.padStart(64, "A")).join("\n");
  const redact = createRedactor([bundle, "hunter2secret"]);
  expect(redact(`${bundle} by hunter2secret`)).toBe("[redacted] by [redacted]");
});

test("what stands for a secret is no secret of its own, and nor is the end of a line", () => {
  expect(createRedactor(["hunter2secret", "acte"])("as hunter2secret")).toBe("as [redacted]");
  expect(createRedactor(["\n\n\n\n"])("first; second")).toBe("first; second");
});

test("what is left of a secret where a long message was cut is redacted too", () => {
  const token = Array.from({ length: 300 }, (_, index) => `${index}`.padStart(10, "eyJhbGciOi")).join("");
  const redact = createRedactor([token]);
  expect(redact(messageOf(new Error(`Cannot parse ${token}`)))).toBe("Cannot parse [redacted]");
  expect(redact(`Cannot parse ${token.slice(0, 10)}`)).toBe(`Cannot parse ${token.slice(0, 10)}`);
});

test("a redactor leaves no secret of four or more characters in any text", () => {
  const secret = fc.string({ minLength: 4, maxLength: 12, unit: "grapheme" });
  fc.assert(
    fc.property(
      fc.array(secret, { minLength: 1, maxLength: 3 }),
      fc.string(),
      fc.string(),
      (secrets, before, after) => {
        const redact = createRedactor(secrets);
        for (const one of secrets) {
          fc.pre(!"[redacted]".includes(one));
          expect(redact(before + one + after)).toContain("[redacted]");
        }
      },
    ),
  );
});

test("a closed stderr loses lines and nothing else", () => {
  const fd = openSync(devNull, "w");
  const write = createStderrWriter(fd);
  write("shown\n");
  closeSync(fd);
  expect(() => write("lost\n")).not.toThrow();
});

test("a process whose stderr pipe was closed by its reader lives on", async () => {
  const writer = new URL("../../../agent/system/log.ts", import.meta.url).pathname;
  const script = `
    import { createLog } from ${JSON.stringify(writer)};
    process.stdin.once("data", () => {
      for (let i = 0; i < 100; i++) createLog().info("Nobody reads this");
      process.stdout.write("alive");
      process.exit(0);
    });
    process.stdout.write("ready ");`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdin: "pipe", stdout: "pipe", stderr: "pipe" });
  await child.stderr.cancel();
  child.stdin.write("go");
  child.stdin.end();
  expect(await new Response(child.stdout).text()).toBe("ready alive");
  expect(await child.exited).toBe(0);
});

test("a full non-blocking stderr loses whole lines and says later how many", async () => {
  const log = new URL("../../../agent/system/log.ts", import.meta.url).pathname;
  // The pipe's other end is read only after 500 lines of 1 kB, eight times what it holds.
  const script = `
    import { createStderrWriter } from ${JSON.stringify(log)};
    import { constants, openSync, readSync } from "node:fs";
    const out = openSync(process.argv[1], constants.O_RDWR | constants.O_NONBLOCK);
    const write = createStderrWriter(out);
    for (let i = 0; i < 500; i++) write(String(i).padStart(5, "0").repeat(200) + "\\n");
    const buffer = Buffer.alloc(1 << 20);
    let text = "";
    const drain = () => { try { for (;;) text += buffer.toString("latin1", 0, readSync(out, buffer)); } catch {} };
    drain();
    write("after\\n");
    drain();
    process.stdout.write(text);`;
  const fifo = `${process.env.TMPDIR ?? "/tmp"}/holdfast-log-${process.pid}-${Bun.nanoseconds()}`;
  expect(await Bun.spawn(["mkfifo", fifo]).exited).toBe(0);
  try {
    const child = Bun.spawn([process.execPath, "-e", script, fifo], { stdout: "pipe", stderr: "inherit" });
    const lines = (await new Response(child.stdout).text()).split("\n");
    expect(lines.pop()).toBe("");
    expect(lines.pop()).toBe("after");
    const notice = parseLogfmt(`${lines.pop()}\n`);
    for (const line of lines) expect(line).toMatch(/^(\d{5})\1{199}$/);
    expect(Number(notice.get("lost_lines"))).toBe(500 - lines.length);
  } finally {
    await Bun.file(fifo).unlink();
  }
});
