/** What an instance and its receiving thread say to each other. Numbers go through {@link Telemetry}. */
import type { ConnectionKeywords, Environment } from "../../common/postgres/conninfo.ts";
import type { GapReason, State } from "./telemetry.ts";

export interface ReceiverSettings {
  /** Where segments go; an absolute path. */
  readonly directory: string;
  readonly slot: string;
  /** Creates a missing slot. */
  readonly createSlot: boolean;
  readonly applicationName: string;
  readonly connection: ConnectionKeywords;
  readonly onGap: "refuse" | "continue";
  /** Ends at the first loss of the connection. */
  readonly noLoop: boolean;
  /** Ends when everything before this position is flushed. */
  readonly endPosition: bigint | undefined;
  readonly statusIntervalMs: number;
  /** A server that says nothing for so long is given up, half of it after it was asked for an answer. 0: never. */
  readonly receiveTimeoutMs: number;
  readonly connectTimeoutMs: number;
  /** Waits between attempts: from the first to the longest, doubled each time, with jitter. */
  readonly firstBackOffMs: number;
  readonly longestBackOffMs: number;
  /** WAL is flushed when the socket is drained, and at latest after so long or so much. */
  readonly flushIntervalMs: number;
  readonly flushBytes: number;
}

/** Where an archive of the folder's WAL ends. */
export interface LastArchived {
  /** A segment. */
  readonly name: string;
  readonly systemIdentifier: string;
}

export type ToThread =
  | {
      readonly kind: "start";
      readonly settings: ReceiverSettings;
      readonly environment: Environment;
      readonly telemetry: SharedArrayBuffer;
      /** For a folder that has lost what was archived: a start behind it is a gap. Undefined: there is none, or nobody knows. */
      readonly lastArchived?: LastArchived | undefined;
    }
  /** Flush, tell the server, end the stream. Answered by `stopped`. */
  | { readonly kind: "stop" };

/** Where the receiver stands; sent at each change. */
export interface Standing {
  readonly state: State;
  /** Why, when the state is no good one: the message of the last error, without secrets. */
  readonly problem?: string | undefined;
  /** Unix milliseconds of the next attempt, while it waits for one. */
  readonly nextAttemptAt?: number | undefined;
}

/** Facts of the server, known from the first connection on. */
export interface ServerFacts {
  readonly systemIdentifier: string;
  readonly serverVersion: string;
  readonly timeline: number;
  readonly segmentSizeBytes: number;
}

export type FromThread =
  | {
      readonly kind: "log";
      readonly level: "error" | "warn" | "info" | "debug";
      readonly message: string;
      readonly fields: Readonly<Record<string, string | number | boolean | undefined>>;
    }
  | { readonly kind: "standing"; readonly standing: Standing }
  | { readonly kind: "server"; readonly facts: ServerFacts }
  /** A segment has its final name, durably. */
  | { readonly kind: "segment"; readonly name: string }
  | { readonly kind: "history"; readonly name: string }
  | {
      readonly kind: "gap";
      readonly reason: GapReason;
      /** False: `on_gap: continue` went on. */
      readonly refused: boolean;
      readonly message: string;
    }
  /** It cannot go on, by a fault of its own. The thread is to be ended. */
  | { readonly kind: "failed"; readonly message: string }
  | { readonly kind: "stopped" };
