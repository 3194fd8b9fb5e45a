import { expect, test } from "bun:test";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../../agent/config/load.ts";
import { formatProblem } from "../../../agent/config/problems.ts";
import { type Files, problemsIn } from "./files.ts";

const duration = 'expected a duration such as "30s" or "1h30m"';
const address = 'expected an address such as "127.0.0.1:9847" or ":9351"';

const syntax: [string, string | Uint8Array, string[]][] = [
  ["an empty file", "", [':1:1: Cannot read the configuration: nothing in it, expected keys such as "plugins:"']],
  ["comments only", "# x\n", [':1:1: Cannot read the configuration: nothing in it, expected keys such as "plugins:"']],
  [
    "a list",
    "- a\n",
    [':1:1: Cannot read the configuration: no mapping at its top level, expected keys such as "plugins:"'],
  ],
  [
    "a text",
    "hello\n",
    [':1:1: Cannot read the configuration: no mapping at its top level, expected keys such as "plugins:"'],
  ],
  ["a tab", "plugins:\n\ta: {}\n", [":2:1: Cannot read the YAML: a tab, expected spaces for indentation"]],
  [
    "two documents",
    "plugins:\n---\nplugins:\n",
    [":2:1: Cannot read the YAML: a second document begins here, expected one only"],
  ],
  [
    "an unknown tag",
    "plugins: !secret x\n",
    [':1:10: Cannot read the YAML: the tag "!secret" does not fit or is unknown, expected a plain value'],
  ],
  [
    "two keys in a line",
    "log: level: info\n",
    [
      ':1:6: Cannot read the YAML: a second "key:" in one value, expected a line of its own, indented like its neighbours, or quotes',
    ],
  ],
  ["an open quote", 'plugin_dir: "x\n', [':2:1: Cannot read the YAML: missing closing "quote']],
  ["a duplicate key", "plugins:\n  a: {}\n  a: {}\n", [':3:3: Cannot take the key "a" twice: the first is in line 2']],
  ["an unknown alias", "plugins:\n  a: *b\n", [':2:6: Cannot follow the alias "*b": no anchor of that name before it']],
  [
    "an alias inside itself",
    "plugins:\n  a:\n    config: &x [*x]\n",
    [':3:17: Cannot follow the alias "*x": it stands inside what it names'],
  ],
  [
    "a bad merge",
    "plugins:\n  <<: 3\n",
    [':2:3: Cannot merge what stands at "<<": expected a mapping or a list of mappings'],
  ],
  [
    "a reference in braces",
    "log: { level: ${LEVEL} }\n",
    [':1:16: Cannot read the YAML: a reference inside {} or [] without quotes, expected it quoted as in "${NAME}"'],
  ],
  [
    "a reference as a key",
    "plugins:\n  ${NAME}: {}\n",
    [':2:3: Cannot use the key "${NAME}": references are replaced in values only, write $${ for a literal ${'],
  ],
  ["a list as a key", "? [a]\n: 1\n", [":1:3: Cannot read a key: found a list or mapping, expected text"]],
  ["__proto__", "__proto__: 1\n", [':1:1: Cannot use the key "__proto__": no such key']],
  [
    "bytes that are not UTF-8",
    new Uint8Array([0x61, 0x3a, 0x0a, 0xff, 0xfe]),
    [":2:1: Cannot read the YAML: bytes that are not UTF-8, expected UTF-8 text"],
  ],
  ["a NUL", "plugins:\n  a\0: {}\n", [":2:4: Cannot read the YAML: a control character, expected text"]],
];

test.each(syntax)("%s: one clear problem", async (_, yaml, expected) => {
  expect(await problemsIn({ "holdfast.yml": yaml })).toEqual(expected.map((problem) => `holdfast.yml${problem}`));
});

const schema: [string, string, string[]][] = [
  [
    "an unknown key at the top",
    "lisen: :80\n",
    [':1:1: Cannot read the configuration: unknown key "lisen", did you mean "listen"?'],
  ],
  [
    "an unknown key of an instance",
    "plugins:\n  walg:\n    intervall: 30s\n",
    [':3:5: Cannot read plugins.walg: unknown key "intervall", did you mean "interval"?'],
  ],
  [
    "the plugin's settings one level too high",
    "plugins:\n  walg:\n    path: x\n",
    [
      ':3:5: Cannot read plugins.walg: unknown key "path", expected one of plugin, interval, timeout, stale_after, labels, listen, metrics_path, web_config, config; the plugin\'s own settings stand below config:',
    ],
  ],
  [
    "a wrong duration",
    "plugins:\n  walg:\n    interval: 30x\n",
    [`:3:15: Cannot read plugins.walg.interval "30x": ${duration}`],
  ],
  [
    "a duration without unit",
    "plugins:\n  walg:\n    interval: 30\n",
    [`:3:15: Cannot read plugins.walg.interval 30: ${duration}`],
  ],
  [
    "a duration left out",
    "plugins:\n  walg:\n    interval:\n",
    [`:3:5: Cannot read plugins.walg.interval: ${duration}`],
  ],
  [
    "an interval too short",
    "plugins:\n  a:\n    interval: 999ms\n",
    [':3:15: Cannot read plugins.a.interval "999ms": expected at least 1s'],
  ],
  [
    "an interval that no timer can wait for",
    "plugins:\n  a:\n    interval: 4w\n",
    [':3:15: Cannot read plugins.a.interval "4w": expected at most 24d'],
  ],
  [
    "no time at all",
    "plugins:\n  a:\n    timeout: 0s\n",
    [':3:14: Cannot read plugins.a.timeout "0s": expected more than 0s'],
  ],
  ["a wrong address", "listen: 9847\n", [`:1:9: Cannot read listen 9847: ${address}`]],
  ["a wrong address in a list", "listen:\n  - :1\n  - x\n", [`:3:5: Cannot read listen[1] "x": ${address}`]],
  ["no address", "listen: []\n", [":1:9: Cannot read listen: expected an address, here or at an instance"]],
  [
    "a path that is none",
    "plugins:\n  a:\n    metrics_path: metrics\n",
    [':3:19: Cannot read plugins.a.metrics_path "metrics": expected a path such as "/metrics"'],
  ],
  ["a wrong type", "max_requests: many\n", [':1:15: Cannot read max_requests "many": expected a number, found text']],
  ["a fraction", "max_requests: 1.5\n", [":1:15: Cannot read max_requests 1.5: expected a whole number"]],
  [
    "a YAML 1.1 boolean",
    "enable_reload: yes\n",
    [':1:16: Cannot read enable_reload "yes": expected true or false, found text'],
  ],
  [
    "none of several",
    "log:\n  level: loud\n",
    [':2:10: Cannot read log.level "loud": expected one of "debug", "info", "warn", "error"'],
  ],
  ["a list for a mapping", "plugins:\n  - walg\n", [":1:1: Cannot read plugins: expected a mapping, found a list"]],
  [
    "a text for an entry",
    "plugins:\n  walg: yes\n",
    [':2:9: Cannot read plugins.walg "yes": expected a mapping, found text'],
  ],
  [
    "an instance named after a route",
    "plugins:\n  metrics: {}\n",
    [':2:3: Cannot use the key "metrics" in plugins: the agent\'s own routes begin with it, expected another name'],
  ],
  [
    "an instance named -",
    "plugins:\n  '-': {}\n",
    [':2:3: Cannot use the key "-" in plugins: expected a letter, then letters, digits, _ and - only'],
  ],
  [
    "a path as plugin",
    "plugins:\n  a:\n    plugin: ../x\n",
    [
      ':3:13: Cannot read plugins.a.plugin "../x": expected the name of a plugin: a letter, then letters, digits, _ and - only',
    ],
  ],
  [
    "a number as label",
    "plugins:\n  a:\n    labels: { shard: 1 }\n",
    [':3:22: Cannot read plugins.a.labels.shard 1: expected text, found a number, quote it: "1"'],
  ],
  [
    "a label of Prometheus",
    "plugins:\n  a:\n    labels:\n      job: x\n",
    [':4:7: Cannot use the key "job" in plugins.a.labels: Prometheus sets this label itself, expected another name'],
  ],
  [
    "a label of histograms",
    "plugins:\n  a:\n    labels: { le: x }\n",
    [
      ':3:15: Cannot use the key "le" in plugins.a.labels: histograms and summaries use this label, expected another name',
    ],
  ],
  [
    "a label that is none",
    "plugins:\n  a:\n    labels: { a-b: x }\n",
    [
      ':3:15: Cannot use the key "a-b" in plugins.a.labels: expected a label name: letters, digits and _ only, no digit first',
    ],
  ],
  [
    "two instances that look the same",
    "plugins:\n  a:\n    plugin: barman\n    labels: { x: '' }\n  b:\n    plugin: barman\n",
    [
      ":5:3: Cannot tell plugins.b from plugins.a (holdfast.yml:2:3): both use one plugin and have no labels, expected labels that differ, such as labels: { cluster: b }",
    ],
  ],
  [
    "an address wanted twice",
    "listen: 127.0.0.1:80\nplugins:\n  a:\n    listen: :80\n",
    [
      ':4:13: Cannot use plugins.a.listen ":80": listen "127.0.0.1:80" (holdfast.yml:1:9) takes it, expected another port',
    ],
  ],
];

test.each(schema)("%s: place, name and remedy", async (_, yaml, expected) => {
  expect(await problemsIn(yaml)).toEqual(expected.map((problem) => `holdfast.yml${problem}`));
});

test("all problems come at once, in the order of files and lines", async () => {
  const files: Files = {
    "holdfast.yml":
      "\ufefflog: { levl: info }\r\nplugins:\r\n  b: { interval: 0s }\r\n  a: { x: 1, y: ${NO} }\r\n".replace(
        "${NO}",
        '"${NO}"',
      ),
    "plugins.d/1.yml": "c: 3\nb: {}\n",
    "plugins.d/2.yml": "plugins:\n  x: {}\nlisten: :80\n",
    "plugins.d/3.yml": "{",
  };
  expect(await problemsIn(files)).toEqual([
    'holdfast.yml:1:8: Cannot read log: unknown key "levl", did you mean "level"?',
    'holdfast.yml:3:18: Cannot read plugins.b.interval "0s": expected at least 1s',
    expect.stringContaining('holdfast.yml:4:8: Cannot read plugins.a: unknown key "x"'),
    expect.stringContaining('holdfast.yml:4:14: Cannot read plugins.a: unknown key "y"'),
    "holdfast.yml:4:17: Cannot replace ${NO}: the environment has no NO, set it or give a default as in ${NO:-default}",
    "plugins.d/1.yml:1:4: Cannot read plugins.c 3: expected a mapping, found a number",
    'plugins.d/1.yml:2:1: Cannot take the instance "b" twice: the first is at holdfast.yml:3:3',
    'plugins.d/2.yml:1:1: Cannot use "plugins:" here: expected the instances themselves at the top level of this file',
    "plugins.d/2.yml:3:1: Cannot set listen here: expected it in the main file, this one holds instances only",
    "plugins.d/3.yml:1:2: Cannot read the YAML: flow map must end with a }",
  ]);
});

test("aliases of aliases are refused before they fill the memory", async () => {
  const lines = Array.from({ length: 40 }, (_, n) => `  a${n + 1}: &a${n + 1} { x: *a${n}, y: *a${n} }`);
  const [problem] = await problemsIn(`plugins:\n  a0: &a0 { x: 1 }\n${lines.join("\n")}\n`);
  expect(problem).toBe("holdfast.yml:1:1: Cannot read the YAML: more than 100000 values, aliases counted each time");
});

test.each([`plugins: ${"[".repeat(20_000)}`, `plugins: ${"[".repeat(200)}${"]".repeat(200)}`])(
  "what is nested too deeply is refused",
  async (yaml) => {
    expect(await problemsIn(yaml)).not.toEqual([]);
  },
);

test("a file that cannot be read is a problem of the file", async () => {
  const read = async (file: string) => {
    const result = await loadConfig(file, { environment: {}, cwd: "/" });
    return "problems" in result ? result.problems.map(formatProblem) : [];
  };
  expect(await read("nowhere/x.yml")).toEqual(["nowhere/x.yml: Cannot read the configuration: no such file"]);
  expect(await read("/tmp")).toContain("/tmp: Cannot read the configuration: a directory, expected a file");
  expect(await read("/dev/zero")).toContain("/dev/zero: Cannot read the configuration: more than 8388608 bytes");
});

test("addresses that differ, or take a free port, are no problem", async () => {
  expect(
    await problemsIn(`listen: ["127.0.0.1:80", "[::1]:80"]
plugins:
  a: { listen: "127.0.0.2:80" }
  b: { listen: ":0" }
  c: { listen: ":0" }
`),
  ).toEqual([]);
});

test("a plugins.d that is a link to nowhere is a problem: its instances are not meant to be gone", async () => {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-config-"));
  try {
    await Bun.write(join(folder, "holdfast.yml"), "plugins: {}\n");
    await symlink(join(folder, "nonesuch"), join(folder, "plugins.d"));
    const result = await loadConfig("holdfast.yml", { environment: {}, cwd: folder });
    const problems = "problems" in result ? result.problems.map(formatProblem) : [];
    expect(problems).toEqual(["plugins.d: Cannot read the folder: no such file"]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
