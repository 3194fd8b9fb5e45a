import { expect, test } from "bun:test";
import { join } from "node:path";
import { loadConfig } from "../../../agent/config/load.ts";
import { configOf, load, problemsIn } from "./files.ts";

test("loadConfig() fills in what a short file leaves out", async () => {
  const config = await configOf("plugins: { barman: }\n");
  expect(config).toMatchObject({
    listen: [{ host: "127.0.0.1", port: 9847 }],
    pluginDir: undefined,
    log: { level: "info", format: "logfmt" },
    webConfig: undefined,
    enableReload: false,
    maxRequests: 40,
  });
  expect(config.instances).toHaveLength(1);
  expect(config.instances[0]).toMatchObject({
    name: "barman",
    plugin: "barman",
    intervalSeconds: undefined,
    labels: {},
    listen: undefined,
    config: {},
    secrets: [],
  });
});

test("loadConfig() reads every key, paths relative to the main file", async () => {
  const yaml = `
listen: ["127.0.0.1:9847", ":9848"]
plugin_dir: plugins
log: { level: debug, format: json }
web_config: /etc/web.yml
enable_reload: true
max_requests: 0
plugins:
  main:
    plugin: barman
    interval: 90s
    timeout: 1m
    stale_after: 1h30m
    labels: { cluster: main, empty: "" }
    listen: :7070
    web_config: own.yml
    config: { servers: [a, b], retries: 3 }
`;
  await load({ "sub/holdfast.yml": yaml }, {}, async (_, folder) => {
    const result = await loadConfig("sub/holdfast.yml", { environment: {}, cwd: folder });
    if (!("config" in result)) throw new Error("problems");
    const { instances, place, ...settings } = result.config;
    expect(place(["plugin_dir"])).toEqual({ file: "sub/holdfast.yml", line: 3, column: 13 });
    expect(settings).toEqual({
      file: join(folder, "sub/holdfast.yml"),
      listen: [
        { host: "127.0.0.1", port: 9847 },
        { host: "", port: 9848 },
      ],
      pluginDir: join(folder, "sub/plugins"),
      log: { level: "debug", format: "json" },
      webConfig: "/etc/web.yml",
      enableReload: true,
      maxRequests: 0,
    });
    expect(instances[0]).toMatchObject({
      name: "main",
      plugin: "barman",
      intervalSeconds: 90,
      timeoutSeconds: 60,
      staleAfterSeconds: 5400,
      labels: { cluster: "main" },
      listen: { host: "", port: 7070 },
      webConfig: join(folder, "sub/own.yml"),
      config: { servers: ["a", "b"], retries: 3 },
    });
    expect(instances[0]?.labels).not.toHaveProperty("empty");
  });
});

test("loadConfig() merges plugins.d in the order of names and leaves other files alone", async () => {
  const { instances } = await configOf({
    "holdfast.yml": "plugins:\n  first: {}\n",
    "plugins.d/20.yaml": "third: {}\n",
    "plugins.d/10.yml": "second: {}\n",
    "plugins.d/30.yml": "# all of it commented out\n",
    "plugins.d/.hidden.yml": "{",
    "plugins.d/note.txt": "{",
    "plugins.d/10.yml~": "{",
  });
  expect(instances.map(({ name }) => name)).toEqual(["first", "second", "third"]);
});

test("loadConfig() takes flags before what the file says", async () => {
  const overrides = {
    listen: [":1", "[::1]:2"],
    webConfig: "web.yml",
    logLevel: "warn",
    logFormat: "json",
    maxRequests: "7",
  };
  await load("listen: :3\nlog: { level: debug }\nplugins:\n", { overrides }, (result, folder) => {
    expect(result).toMatchObject({
      config: {
        listen: [
          { host: "", port: 1 },
          { host: "::1", port: 2 },
        ],
        webConfig: join(folder, "web.yml"),
        log: { level: "warn", format: "json" },
        maxRequests: 7,
      },
    });
  });
});

test("loadConfig() tells what is wrong with flags by their names", async () => {
  const overrides = { listen: ["9847", ":1", ":1"], logLevel: "loud", logFormat: "xml", maxRequests: "-1" };
  expect(await problemsIn("plugins:\n", { overrides })).toEqual([
    '--log.format: Cannot read "xml": expected one of logfmt, json',
    '--log.level: Cannot read "loud": expected one of debug, info, warn, error',
    '--web.listen-address: Cannot read "9847": expected an address such as "127.0.0.1:9847" or ":9351"',
    '--web.listen-address: Cannot use --web.listen-address ":1": --web.listen-address ":1" (--web.listen-address) takes it, expected another port',
    '--web.max-requests: Cannot read "-1": expected a whole number, 0 for no limit',
  ]);
});

test("aliases and merge keys of one file work, own keys before merged ones", async () => {
  const { instances } = await configOf(`
plugins:
  a: &base
    plugin: barman
    interval: 30s
    labels: { cluster: a }
  b:
    <<: *base
    interval: 60s
    labels: { cluster: b }
`);
  expect(instances.map(({ intervalSeconds, labels }) => [intervalSeconds, labels.cluster])).toEqual([
    [30, "a"],
    [60, "b"],
  ]);
});

test("place() finds keys and, where they are not written, their nearest parent", async () => {
  const { instances } = await configOf(
    "plugins:\n  a:\n    config:\n      servers: [x, yy]\n      deep:\n        k: v\n",
  );
  const at = (...path: PropertyKey[]) => {
    const { line, column } = instances[0]?.place(path) ?? { line: -1, column: -1 };
    return `${line}:${column}`;
  };
  expect([at(), at("config"), at("config", "servers"), at("config", "servers", 1)]).toEqual([
    "2:3",
    "3:5",
    "4:16",
    "4:20",
  ]);
  expect([at("config", "deep"), at("config", "deep", "k"), at("config", "deep", "none", "x"), at("plugin")]).toEqual([
    "5:7",
    "6:12",
    "5:7",
    "2:3",
  ]);
});

test("with problems elsewhere, what can be read of the instances is given all the same", async () => {
  const result = await load(
    "lissten: x\nplugins:\n  good: {}\n  part: { interval: x, timeout: 3s }\n  bad: { plugin: 7 }\n",
  );
  expect("readable" in result && result.readable?.instances).toMatchObject([
    { name: "good" },
    { name: "part", intervalSeconds: undefined, timeoutSeconds: 3 },
  ]);
});

test("an agent has no address of its own where an instance has one", async () => {
  const config = await configOf("listen: []\nplugins:\n  walg: { listen: :9351, metrics_path: /m }\n");
  expect(config.listen).toEqual([]);
  expect(config.instances[0]).toMatchObject({ listen: { host: "", port: 9351 }, metricsPath: "/m" });
});

test("a text in place of the file is the whole configuration; what lies in the folder is not read", async () => {
  const files = { "holdfast.yml": "listen: :1\n", "plugins.d/a.yml": "a:\n" };
  const config = await configOf(files, {
    text: 'listen: :2\nplugins: { walg: { config: { x: "${X}" } } }\n',
    environment: { X: "y" },
  });
  expect(config.listen).toEqual([{ host: "", port: 2 }]);
  expect(config.instances.map(({ name, config: own }) => [name, own])).toEqual([["walg", { x: "y" }]]);
});
