/** The WAL-G exporter: of its README, and of WAL-G's releases. Source: wal-g, cmd/pg/exporter, v3.0.8 and v3.0.9. */
import { resolve } from "node:path";
import { version } from "../build.ts";
import { expectNoOperands, helpText, parseGoFlags, versionFlag } from "./arguments.ts";
import { type Invocation, literal, type OriginalFlag, type Plan, type Tool, type Translation } from "./tool.ts";
import { addressOf, durationOf, wordOf } from "./values.ts";

const interval = (name: string, initial: string, of: string): OriginalFlag => ({
  name,
  value: "DURATION",
  default: initial,
  here: `\`config.${of}\``,
});

export const walgFlags: readonly OriginalFlag[] = [
  { name: "web.listen-address", value: "ADDRESS", default: ":9351", here: "`listen` of the instance" },
  { name: "web.telemetry-path", value: "PATH", default: "/metrics", here: "`metrics_path` of the instance" },
  { name: "walg.path", value: "PATH", default: "wal-g", here: "`config.path`" },
  { name: "walg.config-path", value: "PATH", here: "`config.config_path`" },
  {
    name: "scrape.interval",
    value: "DURATION",
    default: "60s",
    here: "`config.list.interval`, `config.wal.interval` and `config.storage.interval`, unless their own flags are given",
  },
  interval("backup-list.scrape-interval", "1m0s", "list.interval"),
  interval("wal-verify.scrape-interval", "5m0s", "wal.interval"),
  interval("storage-check.scrape-interval", "30s", "storage.interval"),
  interval("backup-list.timeout", "2m0s", "list.timeout"),
  interval("wal-verify.timeout", "10m0s", "wal.timeout"),
  interval("storage-check.timeout", "10s", "storage.timeout"),
  { name: "log.level", value: "LEVEL", default: "info", here: "`log.level`, at the top of the file" },
  {
    name: "walg.compat",
    value: "PROFILE",
    default: "both",
    here: "`config.compat`, new here: metric names of the README (`readme`), of WAL-G's releases (`release`), or `both`",
  },
  { name: "walg.stale-after", value: "DURATION", here: "`config.stale_after`, new here" },
  versionFlag,
];

const name = "walg-exporter";

export const tool: Tool = {
  name,
  exitStatus: { usage: 2, failed: 1 },
  plan({ args, cwd }): Plan {
    const { flags, operands } = parseGoFlags(name, args, walgFlags);
    if (flags.get("help") === "true") {
      const about = "Serves metrics of the backups and WAL that WAL-G keeps, as the WAL-G exporter does.";
      return { kind: "text", text: helpText(name, about, [`${name} [flags]`], walgFlags) };
    }
    if (flags.get("version") === "true") return { kind: "text", text: `${name} of holdfast ${version}\n` };
    expectNoOperands(name, operands);
    const translation = translate(flags, cwd);
    return { kind: "run", source: `the command line of ${name}`, isFile: false, translate: async () => translation };
  },
};

function translate(flags: ReadonlyMap<string, string>, cwd: Invocation["cwd"]): Translation {
  const every = flags.get("scrape.interval");
  const schedule = (flag: string) => {
    const written = flags.get(`${flag}.scrape-interval`) ?? every;
    const flagName = flags.has(`${flag}.scrape-interval`) ? `--${flag}.scrape-interval` : "--scrape.interval";
    const timeout = flags.get(`${flag}.timeout`);
    if (written === undefined && timeout === undefined) return undefined;
    return {
      interval: written === undefined ? undefined : durationOf(flagName, written, shortestSeconds),
      timeout: timeout === undefined ? undefined : durationOf(`--${flag}.timeout`, timeout, shortestSeconds),
    };
  };
  const text = (flag: string) => flags.get(flag) || undefined;
  const path = text("walg.path");
  const configPath = text("walg.config-path");
  const compat = text("walg.compat");
  const staleAfter = text("walg.stale-after");
  return {
    plugin: "walg",
    log: { level: wordOf("--log.level", text("log.level") ?? "info", ["debug", "info", "warn", "error"]) },
    instance: {
      listen: addressOf("--web.listen-address", text("web.listen-address") ?? ":9351"),
      metrics_path: text("web.telemetry-path"),
      config: {
        // A name alone is looked up in PATH.
        path: path === undefined ? undefined : literal(path.includes("/") ? resolve(cwd, path) : path),
        config_path: configPath === undefined ? undefined : literal(resolve(cwd, configPath)),
        compat: compat === undefined ? undefined : wordOf("--walg.compat", compat, ["both", "readme", "release"]),
        list: schedule("backup-list"),
        wal: schedule("wal-verify"),
        storage: schedule("storage-check"),
        stale_after:
          staleAfter === undefined ? undefined : durationOf("--walg.stale-after", staleAfter, shortestSeconds),
      },
    },
    notes: [],
  };
}

/** The original ends with an error at 0, and a timer of less would fire without a pause. */
const shortestSeconds = 0.001;
