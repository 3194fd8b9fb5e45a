/** Fields of a log line. Names carry their unit (`duration_seconds`); values are never secrets. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** A structured log: the message is a constant text, all that varies is in the fields. */
export interface Log {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
}

export type LogLevel = "debug" | "info" | "warn" | "error";
