import { agent } from "./agent.ts";
import { barman } from "./barman.ts";
import type { Dashboard } from "./model.ts";
import { overview } from "./overview.ts";
import { pgrwl } from "./pgrwl.ts";
import { prombackup } from "./prombackup.ts";
import { walg } from "./walg.ts";

/** Each is a file in config/grafana/dashboards. */
export const dashboards: readonly Dashboard[] = [overview, agent, barman, pgrwl, prombackup, walg];
