/** A configuration that was read and found right: the shape that the rest of the agent works with. */
import type { Address, LogLevel } from "../sdk/index.ts";

export interface AgentConfig {
  /** Absolute path of the main file; a description where there is none. */
  readonly file: string;
  readonly listen: readonly Address[];
  /** Absolute path; undefined: no third-party plugins. */
  readonly pluginDir: string | undefined;
  /** Files with secrets that every user of the machine can read. */
  readonly openSecretFiles?: readonly string[];
  readonly log: { readonly level: LogLevel; readonly format: "logfmt" | "json" };
  /** Absolute path of a file in exporter-toolkit's format, for every listener. */
  readonly webConfig: string | undefined;
  /** Whether `POST /-/reload` is served. */
  readonly enableReload: boolean;
  /** Scrapes answered at once; 0: no limit. */
  readonly maxRequests: number;
  readonly instances: readonly InstanceConfig[];
  /** Where a key of the main file stands, e.g. `["plugin_dir"]`. */
  place(path: readonly PropertyKey[]): Place;
}

/** One entry under `plugins:`. Undefined times take the plugin's defaults. */
export interface InstanceConfig {
  readonly name: string;
  readonly plugin: string;
  readonly intervalSeconds: number | undefined;
  readonly timeoutSeconds: number | undefined;
  readonly staleAfterSeconds: number | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly listen: Address | undefined;
  /** At `listen`; undefined: `/metrics`. */
  readonly metricsPath: string | undefined;
  /** Absolute path; undefined: the agent's. */
  readonly webConfig: string | undefined;
  /** `config:` as plain data, references replaced; the plugin's own schema has not seen it yet. */
  readonly config: unknown;
  /** Values under `config:` that came from `${…}`: never printed. */
  readonly secrets: readonly string[];
  /** Where a key below this entry stands, e.g. `["config", "servers", 0]`; the nearest known parent where it is not written. */
  place(path: readonly PropertyKey[]): Place;
}

/** A place in a configuration file; line and column count from 1. Line 0: the file as a whole, or a flag of the command line. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Something wrong with the configuration: where, what was found, what would do. */
export interface Problem extends Place {
  readonly message: string;
}
