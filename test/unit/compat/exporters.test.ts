import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createFolder } from "../../harness/folders.ts";
import { configOf, planOf, refusalOf, translationOf } from "./translated.ts";

test("walg-exporter without flags is the plugin's own defaults at the original's port", async () => {
  expect((await translationOf("walg-exporter", {})).settings as unknown).toEqual({
    log: { level: "info" },
    plugins: { walg: { listen: ":9351", config: {} } },
  });
});

test("walg-exporter: a flag of a command goes before scrape.interval", async () => {
  const args = ["-scrape.interval=20s", "-storage-check.scrape-interval", "5s", "-backup-list.timeout=1m"];
  expect(await configOf("walg-exporter", { args })).toEqual({
    list: { interval: "20s", timeout: "1m" },
    wal: { interval: "20s" },
    storage: { interval: "5s" },
  });
});

test.each([
  [["-scrape.interval", "0"], 'Cannot read --scrape.interval "0": expected at least 1ms'],
  [["-scrape.interval", "-5s"], "expected at least 1ms"],
  [["-web.listen-address", "9351"], 'Cannot read --web.listen-address "9351": expected an address'],
  [["-log.level", "loud"], "expected one of debug, info, warn, error"],
  [["-walg.compat", "old"], "expected one of both, readme, release"],
  [["more"], 'Unexpected argument "more"'],
  [["-walg.pat", "x"], "did you mean --walg.path?"],
])("walg-exporter %j is refused", async (args, message) => {
  expect(await refusalOf("walg-exporter", { args })).toContain(message);
});

test("a literal dollar in a path stays one", async () => {
  const { yaml } = await translationOf("walg-exporter", { args: ["-walg.path", "/opt/${x}/wal-g"] });
  expect(yaml).toContain('path: "/opt/$${x}/wal-g"');
});

async function barman(yaml: string, environment: Record<string, string> = {}, file = "config.yaml") {
  await using folder = await createFolder("holdfast-barman");
  await writeFile(join(folder.path, file), yaml);
  return await translationOf("barman_exporter", { args: ["-config", file], environment, cwd: folder.path });
}

test("barman_exporter: address, port, times and level, with variables and their defaults", async () => {
  const yaml =
    "address: ${ADDRESS|127.0.0.1}\nport: ${PORT}\ncache_ttl: ${TTL|50}\nrefresh_interval: 120\nlog_level: DEBUG\n";
  const { settings, notes } = await barman(yaml, { PORT: "2222" });
  expect(settings as unknown).toEqual({
    log: { level: "debug" },
    plugins: { barman: { listen: "127.0.0.1:2222", interval: "120s", config: { cache_ttl: 50 } } },
  });
  expect(notes).toEqual([]);
});

test.each(["::1", "[::1]"])("barman_exporter: the address %s, of IPv6", async (address) => {
  const { settings } = await barman(`address: "${address}"\nport: 2222\nrefresh_interval: 60\n`);
  expect(settings.plugins.barman).toMatchObject({ listen: "[::1]:2222" });
});

test("barman_exporter: what is missing is as it was, and an unknown key is told", async () => {
  const { settings, notes } = await barman("refresh_intervall: 5\n");
  expect(settings as unknown).toEqual({
    log: { level: "warn" },
    plugins: { barman: { listen: ":0", interval: "60s", config: {} } },
  });
  expect(notes).toEqual([
    "config.yaml: the key refresh_intervall is unknown, and ignored; did you mean refresh_interval?",
    "config.yaml: refresh_interval is missing, 60 seconds are taken",
  ]);
});

test.each([
  ["integration_type: mock\n", "integration_type: mock in config.yaml asks for: set shell"],
  ["integration_type: shel\n", 'integration_type "shel" in config.yaml: expected shell'],
  ["refresh_interval: 0\n", "refresh_interval: 0 in config.yaml asks for: it would never refresh again"],
  ["cache_ttl: 5m\n", 'cache_ttl "5m" in config.yaml: expected a number of seconds'],
  ["port: 99999\n", "expected an address"],
  ["- a\n", "expected keys and values"],
  ["a: b: c\n", "Cannot read the configuration config.yaml: "],
  [
    "a:\n\tb: c\n",
    new Error("Cannot read the configuration config.yaml: Tabs are not allowed as indentation at line 2, column 1"),
  ],
])("barman_exporter refuses %j", async (yaml, message) => {
  await expect(barman(yaml)).rejects.toThrow(message);
});

test("barman_exporter reads the file anew each time", async () => {
  await using folder = await createFolder("holdfast-barman");
  const file = join(folder.path, "c.yml");
  await writeFile(file, "port: 1\nrefresh_interval: 60\n");
  const plan = await planOf("barman_exporter", { args: [`-config=${file}`] });
  if (!("translate" in plan)) throw new Error("Expected a configuration");
  expect((await plan.translate()).instance.listen).toBe(":1");
  await writeFile(file, "port: 2\nrefresh_interval: 60\n");
  expect((await plan.translate()).instance.listen).toBe(":2");
});

test("the predecessor's flags are its profile, with its port and its cache's time", async () => {
  const { settings } = await translationOf("barman-exporter", { args: ["-c600", "-l", "0.0.0.0:9000", "all"] });
  expect(settings as unknown).toEqual({
    plugins: { barman: { listen: "0.0.0.0:9000", interval: "600s", config: { compat: "predecessor" } } },
  });
});

test("prombackup-server: a flag goes before its variable, and an empty variable is none", async () => {
  const environment = {
    PROMBACKUP_SERVER_LISTEN_ADDRESS: ":1",
    PROMBACKUP_SERVER_SNAPSHOT_DIR: "snapshots",
    PROMBACKUP_SERVER_PROMETHEUS_ENDPOINT: "",
    PROMBACKUP_SERVER_AUTOPRUNE_ENABLE: "T",
    PROMBACKUP_SERVER_AUTOPRUNE_KEEP_WITHIN: "36h",
  };
  const { settings } = await translationOf("prombackup-server", { args: ["--listen_address", ":2"], environment });
  expect(settings as unknown).toEqual({
    plugins: {
      prombackup: {
        listen: ":2",
        config: {
          snapshot_dir: "/srv/snapshots",
          prometheus: { url: "http://localhost:9090" },
          autoprune: { interval: "15m", keep_within: "36h" },
        },
      },
    },
  });
});

test.each(["http://u:geheim@prometheus:9090", "http://u:geheim@:9090"])(
  "prombackup-server: a password that a variable holds stays in the variable (%s)",
  async (endpoint) => {
    const environment = { PROMBACKUP_SERVER_PROMETHEUS_ENDPOINT: endpoint };
    const { yaml } = await translationOf("prombackup-server", { args: ["-snapshot_dir=/s"], environment });
    expect(yaml).toContain('url: "${PROMBACKUP_SERVER_PROMETHEUS_ENDPOINT}"');
    expect(yaml).not.toContain("geheim");
  },
);

test.each([
  [["-snapshot_dir="], "Missing -snapshot_dir"],
  [
    ["-snapshot_dir=/s", "-prometheus_endpoint=u:geheim@host"],
    /^Cannot read -prometheus_endpoint: expected a URL(?!.*geheim)/,
  ],
  [["-snapshot_dir=/s", "-autoprune_interval=0"], 'Cannot read -autoprune_interval "0": expected at least 1s'],
  [["-snapshot_dir=/s", "-autoprune_keep_within=-1h"], "expected a duration that is not negative"],
])("prombackup-server %j is refused", async (args, message) => {
  expect(await refusalOf("prombackup-server", { args })).toMatch(message);
});

test.each([
  [
    ["-server", "http://h:1", "create", "-skip_head=true", "-output", "-"],
    "snapshot create",
    ["--server=http://h:1", "-skip_head=true", "-output", "-"],
  ],
  [["prune", "-keep_within", "12h"], "snapshot prune", ["--quiet", "-keep_within", "12h"]],
])("prombackup %j is %s", async (args, name, expected) => {
  expect(await planOf("prombackup", { args })).toEqual({ kind: "command", name, args: expected });
});
