/** Who receives WAL from a server. Source: `barman -f json replication-status all`, which connects to PostgreSQL. */
import { z } from "holdfast";
import { type PerServer, readServers } from "./answers.ts";
import { type Envelope, parseEnvelope } from "./envelope.ts";
import { number, text } from "./fields.ts";

export const lagStages = ["sent", "write", "flush", "replay"] as const;
export type LagStage = (typeof lagStages)[number];

export interface ReplicationClient {
  readonly kind: "wal_streamer" | "standby";
  readonly applicationName: string;
  /** Empty for a client on a unix socket. */
  readonly address: string;
  /** `streaming`, `catchup`, `startup`, `backup`, `stopping`. */
  readonly state: string;
  /** `async`, `potential`, `sync`, `quorum`. */
  readonly syncState: string;
  /** Bytes behind the server, at least 0. A client in state `backup` has none; only a standby replays. */
  readonly lagBytes: Partial<Record<LagStage, number>>;
}

const client = z.looseObject({
  application_name: text,
  ip_address: text,
  name: text,
  current_state: text,
  current_sync_state: text,
  replay_lsn: text,
  sent_lsn_diff_bytes: number,
  write_lsn_diff_bytes: number,
  flush_lsn_diff_bytes: number,
  replay_lsn_diff_bytes: number,
});
const server = z.looseObject({ streaming_clients: z.array(client).optional() });

/**
 * Clients by server; null for a server whose PostgreSQL could not be asked.
 * @param stdout Output of `barman -f json replication-status`.
 * @throws {SyntaxError} Not such an answer.
 * Source: barman/output.py, `JsonOutputWriter.result_replication_status`, Barman 2.19 to 3.17.
 */
export const parseReplication = (stdout: string): PerServer<readonly ReplicationClient[] | null> =>
  readReplication(parseEnvelope(stdout, "replication-status"));

export function readReplication(envelope: Envelope): PerServer<readonly ReplicationClient[] | null> {
  return readServers(envelope, "replication-status", (value) => {
    const { data } = server.safeParse(value);
    if (data === undefined) return undefined;
    if (data.streaming_clients !== undefined) return data.streaming_clients.map(toClient);
    // "No streaming clients attached" comes with the server's position; without one there was no connection.
    return "standby_info" in data || typeof data.server_lsn === "string" ? [] : null;
  });
}

function toClient(found: z.output<typeof client>): ReplicationClient {
  const lagBytes: Partial<Record<LagStage, number>> = {};
  for (const stage of lagStages) {
    const difference = found[`${stage}_lsn_diff_bytes`];
    // Barman gives client minus server, so behind is negative.
    if (difference !== undefined) lagBytes[stage] = Math.max(0, 0 - difference);
  }
  const isStandby = found.replay_lsn !== undefined || /\bstandby$/i.test(found.name ?? "");
  return {
    kind: isStandby ? "standby" : "wal_streamer",
    applicationName: found.application_name ?? "",
    address: found.ip_address ?? "",
    state: found.current_state ?? "unknown",
    syncState: found.current_sync_state ?? "unknown",
    lagBytes,
  };
}
