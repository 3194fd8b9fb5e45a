/** `holdfast_restorable…`: the answer to "can I restore, and to when?", of whatever instances tell it. */
import type { RestorableReason } from "../sdk/restorable.ts";
import type { OwnFamily } from "./own.ts";

/** Moments are Unix seconds. */
export interface RestorableClaim {
  readonly cluster: string;
  /** The instance that tells it. */
  readonly source: string;
  readonly from: number | undefined;
  readonly to: number | undefined;
  /** Undefined: one can count on it. */
  readonly reason: RestorableReason | undefined;
  /** WAL without a base backup that could be seen: it claims nothing. */
  readonly walOnly: boolean;
}

/** Three families; one series each for a cluster and a source. WAL without a base backup claims nothing, and has none. */
export function restorableFamilies(rows: readonly RestorableClaim[]): OwnFamily[] {
  // One that names no cluster itself may be named like another's: the one that cannot be counted on is heard.
  const heard = new Map<string, RestorableClaim>();
  for (const row of rows.filter(({ walOnly }) => !walOnly)) {
    const key = JSON.stringify([row.cluster, row.source]);
    const known = heard.get(key);
    if (known === undefined || trust(row) >= trust(known)) heard.set(key, row);
  }
  const claims = [...heard.values()];
  const moments = (moment: "from" | "to") =>
    claims.flatMap(({ cluster, source, [moment]: value }) =>
      value === undefined ? [] : [[{ cluster, source }, value] as const],
    );
  return [
    [
      "holdfast_restorable",
      "gauge",
      "Whether one can count on a restore of the cluster, by the word of the instance source; when 0, the reason says why not.",
      claims.map(({ cluster, source, reason = "" }) => [{ cluster, source, reason }, reason === "" ? 1 : 0]),
    ],
    [
      "holdfast_restorable_from_timestamp_seconds",
      "gauge",
      "The earliest moment to which the cluster can be restored, as far as is known.",
      moments("from"),
    ],
    [
      "holdfast_restorable_to_timestamp_seconds",
      "gauge",
      "The latest moment to which the cluster can be restored, as far as is known.",
      moments("to"),
    ],
  ];
}

/** The last of those that sort by it is the worst. */
const trust = ({ reason }: RestorableClaim): number => (reason === undefined ? 0 : 1);
