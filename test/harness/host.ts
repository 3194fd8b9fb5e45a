/** A host with plugins written on the spot: real workers, real files. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AgentConfig, InstanceConfig, Problem } from "../../agent/config/config.ts";
import { Host } from "../../agent/host/host.ts";
import { Snapshots } from "../../agent/metrics/snapshots.ts";
import type { LogFields, LogLevel } from "../../agent/sdk/log.ts";
import { LogSink } from "../../agent/system/log.ts";

export interface TestHost extends AsyncDisposable {
  readonly host: Host;
  readonly snapshots: Snapshots;
  readonly pluginDir: string;
  /** Lines of the log so far, as JSON has them. */
  readonly lines: readonly (LogFields & { level: LogLevel; msg: string })[];
  /** Writes a plugin's file. */
  plugin(file: string, source: string): Promise<void>;
  /** A configuration of instances given by name. */
  config(instances: Record<string, Partial<InstanceConfig>>): AgentConfig;
  /** Prepares and applies. */
  run(instances: Record<string, Partial<InstanceConfig>>): Promise<void>;
  /** The text of the page. */
  text(): string;
}

export async function startHost(): Promise<TestHost> {
  const directory = await mkdtemp(join(tmpdir(), "holdfast-test-"));
  const lines: (LogFields & { level: LogLevel; msg: string })[] = [];
  const sink = new LogSink((line) => void lines.push(JSON.parse(line)));
  sink.configure({ level: "debug", format: "json" });
  const snapshots = new Snapshots();
  const host = new Host({
    snapshots,
    createLog: (fields, secrets) => sink.createLog(fields, secrets),
    runtimeDir: directory,
    reap: () => true,
  });
  const config: TestHost["config"] = (instances) => ({
    file: join(directory, "holdfast.yml"),
    listen: [],
    pluginDir: directory,
    log: { level: "debug", format: "json" },
    webConfig: undefined,
    enableReload: false,
    maxRequests: 0,
    place: () => ({ file: "holdfast.yml", line: 1, column: 1 }),
    instances: Object.entries(instances).map(([name, instance]) => ({
      name,
      plugin: name,
      intervalSeconds: undefined,
      timeoutSeconds: undefined,
      staleAfterSeconds: undefined,
      labels: {},
      listen: undefined,
      metricsPath: undefined,
      webConfig: undefined,
      config: {},
      secrets: [],
      place: () => ({ file: "holdfast.yml", line: 1, column: 1 }),
      ...instance,
    })),
  });
  return {
    host,
    snapshots,
    pluginDir: directory,
    lines,
    config,
    async plugin(file, source) {
      await writeFile(join(directory, file), source);
    },
    async run(instances) {
      const prepared = await host.prepare(config(instances), { tolerant: true });
      if ("problems" in prepared) throw new Error(prepared.problems.map(({ message }: Problem) => message).join("; "));
      await host.apply(prepared.plan);
    },
    text: () => new TextDecoder().decode(snapshots.page(undefined)),
    async [Symbol.asyncDispose]() {
      await host.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** The source of a plugin: `setup` is the body of its setup function. */
export function pluginSource(name: string, setup: string, head = ""): string {
  return `import { definePlugin, z } from "holdfast";
${head}
export default definePlugin({
  name: ${JSON.stringify(name)},
  description: "A plugin of a test",
  config: z.looseObject({}),
  setup({ config, metrics, log, run, signal, publish, name }) {
    ${setup}
  },
});
`;
}
