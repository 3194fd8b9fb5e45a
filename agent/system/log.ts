/** The agent's log: every line of it goes through one sink to stderr. */
import { writeSync } from "node:fs";
import type { Log, LogFields, LogLevel } from "../sdk/index.ts";
import { formatRecord, type LogFormat } from "./logfmt.ts";
import { createRedactor } from "./redact.ts";

export interface LogSettings {
  readonly level: LogLevel;
  readonly format: LogFormat;
}

const severity: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** Formats lines and hands them to `write`; level and format may change at any time. */
export class LogSink {
  readonly #write: (line: string) => void;
  readonly #now: () => number;
  #settings: LogSettings = { level: "info", format: "logfmt" };

  constructor(write: (line: string) => void = createStderrWriter(), now: () => number = Date.now) {
    this.#write = write;
    this.#now = now;
  }

  configure(settings: LogSettings): void {
    this.#settings = settings;
  }

  /** Whether a line of this level would be written. */
  enabled(level: LogLevel): boolean {
    return severity[level] >= severity[this.#settings.level];
  }

  /**
   * A log whose lines all carry `bindings` before their own fields. A field cannot take the place of a binding: what a
   * plugin logs as `instance` is shown as `field_instance`.
   * @param secrets Texts that no line of this log may show.
   */
  createLog(bindings: LogFields = {}, secrets: readonly string[] = []): Log {
    const redact = createRedactor(secrets);
    const at = (level: LogLevel) => (message: string, fields?: LogFields) => {
      if (!this.enabled(level)) return;
      const shown = redactFields({ ...bindings, ...besides(bindings, fields) }, redact);
      this.#write(
        formatRecord({ at: this.#now(), level, message: redact(message), fields: shown }, this.#settings.format),
      );
    };
    return { error: at("error"), warn: at("warn"), info: at("info"), debug: at("debug") };
  }
}

/** Fields with names that are free beside the bindings. */
function besides(bindings: LogFields, fields: LogFields = {}): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [Object.hasOwn(bindings, name) ? `field_${name}` : name, value]),
  );
}

function redactFields(fields: LogFields, redact: (text: string) => string): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, typeof value === "string" ? redact(value) : value]),
  );
}

/**
 * Writes lines to a file descriptor at once, so that the last words before a crash are not lost.
 * A closed one loses the lines and nothing else. A full non-blocking one loses whole lines and says later how many.
 */
export function createStderrWriter(fd = 2): (line: string) => void {
  let rest = new Uint8Array();
  let lostLines = 0;
  const flush = (): boolean => {
    try {
      while (rest.length > 0) rest = rest.subarray(writeSync(fd, rest));
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") rest = new Uint8Array();
      return false;
    }
  };
  return (line) => {
    // What remains of a line that was written in part comes first; nothing is cut into.
    if (!flush()) {
      lostLines++;
      return;
    }
    const fields = { lost_lines: lostLines };
    const notice = { at: Date.now(), level: "warn", message: "Lost log lines: stderr was full", fields } as const;
    const format = line.startsWith("{") ? "json" : "logfmt";
    rest = Buffer.from(lostLines > 0 ? formatRecord(notice, format) + line : line);
    lostLines = 0;
    flush();
  };
}

const agentSink = new LogSink();

/** A log of the agent itself, or of an instance: see {@link LogSink.createLog}. */
export function createLog(bindings: LogFields = {}, secrets: readonly string[] = []): Log {
  return agentSink.createLog(bindings, secrets);
}

/** Changes level and format of every log made by {@link createLog}, those made before too. */
export function configureLog(settings: LogSettings): void {
  agentSink.configure(settings);
}
