/** The form of a metric's definition: registration, documentation and tests read the same data. */
import type { Topic } from "../config.ts";

export interface MetricDefinition {
  readonly name: string;
  readonly type: "gauge" | "counter";
  readonly help: string;
  /** In alphabetical order, as they are printed. */
  readonly labels: readonly string[];
  /** The `collect` entry that it needs; `always` for the plugin's own. */
  readonly topic: Topic | "always";
  /** Command and field that the value comes from. */
  readonly source: string;
  /** First Barman version for which it means something; 2.15 is the first that knows the plural commands. */
  readonly since: string;
}
