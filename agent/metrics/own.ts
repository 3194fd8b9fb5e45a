/** The agent's own metrics, made anew for each scrape: a few lines an instance. */
import { head, sample } from "../sdk/exposition.ts";
import { type RestorableClaim, restorableFamilies } from "./restorable.ts";

export interface OwnInstance {
  readonly name: string;
  readonly plugin: string;
  readonly version: string | undefined;
  readonly source: string;
  /** False for a plugin with nothing to collect. */
  readonly collects: boolean;
  readonly lastSucceeded: boolean | undefined;
  readonly lastDurationSeconds: number | undefined;
  /** Unix milliseconds. */
  readonly lastSuccessAt: number | undefined;
  readonly collectSuccesses: number;
  readonly collectFailures: number;
  readonly failures: ReadonlyMap<string, number>;
  readonly restarts: number;
  readonly restorable: readonly RestorableClaim[];
}

export interface OwnFacts {
  readonly version: string;
  readonly revision: string;
  readonly bunVersion: string;
  readonly instances: readonly OwnInstance[];
  readonly lastReloadSuccessful: boolean;
  /** Unix milliseconds. */
  readonly lastReloadSuccessAt: number;
}

export const failureReasons = ["spawn", "exit", "timeout", "parse", "oversize", "exception"] as const;

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [Labels, number];

/** Name, type, help and samples of a family. */
export type OwnFamily = [name: string, type: "gauge" | "counter", help: string, samples: Sample[]];

/** What each instance has a value for. */
const samplesOf =
  (instances: readonly OwnInstance[]) =>
  (value: (instance: OwnInstance) => number | undefined): Sample[] =>
    instances.flatMap((instance) => {
      const found = value(instance);
      return found === undefined ? [] : [[{ name: instance.name }, found] as const];
    });

/** How the last collection of each instance went. */
export function lastCollections(instances: readonly OwnInstance[]): OwnFamily[] {
  const each = samplesOf(instances);
  return [
    [
      "holdfast_collect_success",
      "gauge",
      "Whether the instance's last collection succeeded.",
      each(({ lastSucceeded }) => (lastSucceeded === undefined ? undefined : Number(lastSucceeded))),
    ],
    [
      "holdfast_collect_duration_seconds",
      "gauge",
      "How long the instance's last collection took.",
      each(({ lastDurationSeconds }) => lastDurationSeconds),
    ],
    [
      "holdfast_collect_last_success_timestamp_seconds",
      "gauge",
      "When the instance's last successful collection ended.",
      each(({ lastSuccessAt }) => lastSuccessAt && lastSuccessAt / 1000),
    ],
  ];
}

/** Each of the agent's families. */
export function ownFamilies(facts: OwnFacts): OwnFamily[] {
  const { version, revision, bunVersion, instances } = facts;
  const each = samplesOf(instances);
  const collecting = instances.filter(({ collects }) => collects);
  return [
    [
      "holdfast_build_info",
      "gauge",
      "The executable that is running.",
      [[{ version, revision, bun_version: bunVersion }, 1]],
    ],
    [
      "holdfast_plugin_info",
      "gauge",
      "The plugin of each instance and where it comes from.",
      instances.map(({ name, plugin, version = "", source }) => [{ name, plugin, version, source }, 1]),
    ],
    ...lastCollections(instances),
    [
      "holdfast_collects_total",
      "counter",
      "Collections that ended, by result.",
      collecting.flatMap(({ name, collectSuccesses, collectFailures }) => [
        [{ name, result: "success" }, collectSuccesses] as const,
        [{ name, result: "failure" }, collectFailures] as const,
      ]),
    ],
    [
      "holdfast_collect_failures_total",
      "counter",
      "Collections that failed, and plugins that failed between them, by reason.",
      instances.flatMap(({ name, failures }) =>
        failureReasons.map((reason) => [{ name, reason }, failures.get(reason) ?? 0] as const),
      ),
    ],
    [
      "holdfast_plugin_restarts_total",
      "counter",
      "Workers that ended and were started anew.",
      each(({ restarts }) => restarts),
    ],
    ...restorableFamilies(instances.flatMap(({ restorable }) => restorable)),
    [
      "holdfast_config_last_reload_successful",
      "gauge",
      "Whether the last reading of the configuration succeeded.",
      [[{}, Number(facts.lastReloadSuccessful)]],
    ],
    [
      "holdfast_config_last_reload_success_timestamp_seconds",
      "gauge",
      "When the configuration was last read successfully.",
      [[{}, facts.lastReloadSuccessAt / 1000]],
    ],
  ];
}

/** The text of families given as rows. */
export function ownText(families: readonly OwnFamily[]): string {
  return families
    .filter(([, , , samples]) => samples.length > 0)
    .map(([name, type, help, samples]) => {
      const lines = samples.map(([labels, value]) => sample(name, labels, value));
      return `${head({ name, type, help })}${lines.join("")}`;
    })
    .join("");
}
