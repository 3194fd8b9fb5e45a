/** How a replication connection fails. */

export type ReplicationErrorKind =
  | "connect"
  | "authentication"
  | "timeout"
  | "connection_lost"
  | "server_error"
  | "server_shutdown"
  | "protocol";

/** What could not be done, where (host and port), what was found. Holds no secret. */
export class ReplicationError extends Error {
  override readonly name = "ReplicationError";
  readonly kind: ReplicationErrorKind;
  /** Of the server's ErrorResponse. */
  readonly sqlState: string | undefined;

  constructor(
    kind: ReplicationErrorKind,
    message: string,
    options: { sqlState?: string | undefined; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.sqlState = options.sqlState;
  }
}

/** An ErrorResponse or NoticeResponse. */
export interface ServerNotice {
  readonly severity: string;
  readonly sqlState: string;
  readonly message: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
}

/** Going down (57P01), crashed or stopped at once (57P02), starting, stopping or recovering (57P03). */
export const isShutdownState = (sqlState: string): boolean => /^57P0[123]$/.test(sqlState);

export function kindOfState(sqlState: string): ReplicationErrorKind {
  if (isShutdownState(sqlState)) return "server_shutdown";
  return sqlState.startsWith("28") ? "authentication" : "server_error";
}

/** `FATAL 28P01: password authentication failed for user "x" (detail; hint)`. */
export function describeNotice({ severity, sqlState, message, detail, hint }: ServerNotice): string {
  const more = [detail, hint].filter((text) => text !== undefined).map((text) => text.replace(/\.$/, ""));
  return `${severity} ${sqlState}: ${message}${more.length > 0 ? ` (${more.join("; ")})` : ""}`;
}
