import { expect, test } from "bun:test";
import fc from "fast-check";
import { z } from "zod";
import { issuesToProblems } from "../../../agent/config/issues.ts";
import { formatProblem } from "../../../agent/config/problems.ts";
import { zodIssues } from "../../../agent/sdk/issues.ts";
import { load } from "./files.ts";

const runs = { numRuns: 200 };

test("loadConfig() never throws, whatever the bytes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
      const result = await load({ "holdfast.yml": bytes });
      if ("problems" in result) expect(result.problems.length).toBeGreaterThan(0);
    }),
    runs,
  );
});

test("loadConfig() never throws, whatever is made of the pieces of a configuration", async () => {
  const words = [
    "plugins",
    "a",
    "config",
    "listen",
    "labels",
    "interval",
    "<<",
    "*x",
    "&x ",
    "${A}",
    "${",
    "!!str ",
    "30s",
  ];
  const marks = [
    ":",
    ": ",
    "- ",
    "\n",
    "\n  ",
    "\n    ",
    "{",
    "}",
    "[",
    "]",
    ", ",
    '"',
    "'",
    "|\n",
    "\t",
    "#",
    "---\n",
    "? ",
  ];
  const text = fc.array(fc.constantFrom(...words, ...marks), { maxLength: 40 }).map((pieces) => pieces.join(""));
  await fc.assert(
    fc.asyncProperty(text, text, async (main, other) => {
      const result = await load({ "holdfast.yml": main, "plugins.d/a.yml": other }, { environment: { A: "x" } });
      for (const { line, column } of "problems" in result ? result.problems : []) {
        expect(line >= 0 && column >= 0).toBe(true);
      }
    }),
    runs,
  );
});

/** A configuration in which a reference can stand anywhere. */
const holes = [
  "listen",
  "plugin_dir",
  "web_config",
  "enable_reload",
  "max_requests",
  "log: { level",
  "plugins: { a: { plugin",
  "plugins: { a: { interval",
  "plugins: { a: { timeout",
  "plugins: { a: { labels",
  "plugins: { a: { labels: { x",
  "plugins: { a: { listen",
  "plugins: { a: { config: { k",
  "plugins: { a: { config: { n: { m",
  "plugins: { a",
  "plugins",
  "plugins: { b: { plugin: a, labels: { x: s } }, a: { labels: { x",
  "plugins: { b: { listen: ':80' }, a: { listen",
  "no_such",
];
const config = z.strictObject({
  k: z.string().refine(() => false, { error: ({ input }) => `bad ${input} and ${JSON.stringify(input)}` }),
  n: z.union([z.number(), z.strictObject({ m: z.enum(["a"], { error: ({ input }) => `no ${input}` }) })]),
});

test("no problem ever shows a value that came from a reference", async () => {
  const secret = fc.oneof(
    fc.stringMatching(/^zq[A-Za-z0-9"\\${}:/@%]{4,20}$/),
    fc.bigInt({ min: 10n ** 9n, max: 10n ** 15n }).map(String),
    fc.constant("s"),
    fc.constant(":80"),
  );
  const spelling = fc.constantFrom("${PW}", "x${PW}y", "${PW}${PW}", "${NO:-DEFAULT}");
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...holes),
      spelling,
      fc.boolean(),
      secret,
      async (hole, text, isQuoted, secret) => {
        const closing = " }".repeat(hole.split("{").length - hole.split("}").length);
        const value = isQuoted || hole.includes("{") ? JSON.stringify(text) : text;
        const result = await load(`${hole}: ${value}${closing}\n`, { environment: { PW: secret, DEFAULT: secret } });
        const problems = "problems" in result ? result.problems : [];
        const instances = "problems" in result ? result.readable?.instances : result.config.instances;
        for (const instance of instances ?? []) {
          const { error } = config.safeParse(instance.config);
          problems.push(...issuesToProblems(instance, zodIssues(config, error ?? { issues: [] })));
        }
        const shown = problems.map(formatProblem).join("\n");
        if (secret.length > 4) expect(shown).not.toContain(secret);
        if (secret.length > 4) expect(shown).not.toContain(JSON.stringify(secret).slice(1, -1));
      },
    ),
    { numRuns: 500 },
  );
});
