/** A real Prometheus in a temporary folder. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createFolder } from "./folders.ts";
import { freePort } from "./ports.ts";
import { ServerProcess } from "./processes.ts";

export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Target {
  readonly scrapeUrl: string;
  readonly health: "up" | "down" | "unknown";
  readonly lastError: string;
}

export interface PrometheusServer extends AsyncDisposable {
  readonly url: string;
  /** Where it keeps its blocks. */
  readonly dataFolder: string;
  /** The samples of an instant query now, or at a moment (Unix seconds). */
  query(expression: string, time?: number): Promise<Sample[]>;
  targets(): Promise<Target[]>;
  log(): string;
  stop(): Promise<void>;
}

export interface PrometheusOptions {
  /** `host:port` of each target of the job `holdfast`. */
  readonly targets: readonly string[];
  /** Default `1s`. */
  readonly scrapeInterval?: string;
  /** More lines below the job, indented by four spaces. */
  readonly jobSettings?: string;
  /** Rule files, evaluated as often as is scraped. */
  readonly ruleFiles?: readonly string[];
  /** More flags. */
  readonly flags?: readonly string[];
  /** A folder with blocks in it. Default: an empty one that vanishes. */
  readonly dataFolder?: string;
}

/** Starts a Prometheus that scrapes `targets`. */
export async function startPrometheus(options: PrometheusOptions): Promise<PrometheusServer> {
  const { targets, scrapeInterval = "1s", jobSettings = "", ruleFiles = [], flags = [] } = options;
  await using cleanup = new AsyncDisposableStack();
  const folder = cleanup.use(await createFolder("holdfast-prometheus"));
  const port = await freePort();
  const configFile = join(folder.path, "prometheus.yml");
  await writeFile(
    configFile,
    `global: { scrape_interval: ${scrapeInterval}, scrape_timeout: ${scrapeInterval}, evaluation_interval: ${scrapeInterval} }
rule_files: ${JSON.stringify(ruleFiles)}
scrape_configs:
  - job_name: holdfast
    static_configs: [{ targets: ${JSON.stringify(targets)} }]
${jobSettings}
`,
  );
  const url = `http://127.0.0.1:${port}`;
  const dataFolder = options.dataFolder ?? join(folder.path, "data");
  const mode = flags.includes("--enable-feature=agent") ? "agent" : "tsdb";
  const command = [
    "prometheus",
    `--config.file=${configFile}`,
    `--storage.${mode}.path=${dataFolder}`,
    `--web.listen-address=127.0.0.1:${port}`,
    ...flags,
  ];
  const logFile = join(folder.path, "prometheus.log");
  const server = cleanup.use(new ServerProcess({ command, user: "root", logFile, cwd: folder.path }));
  await server.until("ready", async () => (await fetch(`${url}/-/ready`)).ok);

  const api = async <Data>(path: string): Promise<Data> => {
    const response = await fetch(`${url}/api/v1/${path}`);
    const body = (await response.json()) as { status: string; error?: string; data: Data };
    if (body.status !== "success") throw new Error(`Prometheus refused ${path}: ${body.error}`);
    return body.data;
  };
  const owned = cleanup.move();
  return {
    url,
    dataFolder,
    async query(expression, time) {
      const at = time === undefined ? "" : `&time=${time}`;
      const path = `query?query=${encodeURIComponent(expression)}${at}`;
      const { result } = await api<{ result: { metric: Record<string, string>; value: [number, string] }[] }>(path);
      return result.map(({ metric, value: [, value] }) => ({ metric, value: Number(value) }));
    },
    targets: async () => (await api<{ activeTargets: Target[] }>("targets")).activeTargets,
    log: () => server.log(),
    stop: () => server.stop(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
