/** A web config file that is read anew when it, or a certificate in it, changes. */
import { stat } from "node:fs/promises";
import type { Log } from "../sdk/index.ts";
import { loadWebConfig, type WebConfig } from "./web-config.ts";

const checkEveryMs = 1000;

/**
 * The web config as it was last right. A file that went wrong or missing changes nothing: the old one holds, the log
 * says so and `problem` stays until it is right again. So a missing file never opens the door.
 */
export class WebConfigWatch {
  readonly file: string;
  readonly #log: Log | undefined;
  readonly #listeners = new Set<(config: WebConfig) => void>();
  #current: WebConfig;
  #signature: string;
  #problem: string | undefined;
  #weaker: string | undefined;
  #checking: Promise<void> | undefined;
  #timer: Timer | undefined;

  private constructor(file: string, config: WebConfig, signature: string, log: Log | undefined) {
    this.file = file;
    this.#current = config;
    this.#signature = signature;
    this.#log = log;
    this.#warn(config, []);
  }

  /**
   * Reads the file, and looks every second whether it changed, until `close()`.
   * @throws {WebConfigError} It cannot be used.
   */
  static async open(file: string, log?: Log): Promise<WebConfigWatch> {
    const config = await loadWebConfig(file);
    // Empty: the first look reads once more, for a file may have changed between its reading and now.
    const watch = new WebConfigWatch(file, config, "", log);
    watch.#timer = setInterval(() => void watch.check(), checkEveryMs);
    watch.#timer.unref();
    return watch;
  }

  get current(): WebConfig {
    return this.#current;
  }

  /** Why the file as it is now is not in use; undefined when it is. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Calls back when certificates, protocols or client authentication changed; returns what ends that. */
  onSocketChange(listener: (config: WebConfig) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Looks now. One look at a time; never rejects. */
  check(): Promise<void> {
    this.#checking ??= this.#look().finally(() => {
      this.#checking = undefined;
    });
    return this.#checking;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#listeners.clear();
  }

  async #look(): Promise<void> {
    const signature = await signatureOf(this.#current.files);
    if (signature === this.#signature && this.#problem === undefined) return;
    let next: WebConfig;
    try {
      next = await loadWebConfig(this.file);
    } catch (error) {
      return this.#fail(error instanceof Error ? error.message : String(error));
    }
    // A file cut off in the middle of being written may be right, and without its users: it must be so twice.
    if (isWeaker(next, this.#current) && this.#weaker !== signature) {
      this.#weaker = signature;
      return;
    }
    this.#weaker = undefined;
    // Taken before reading: a change meanwhile is seen by the next look.
    const isOfSameFiles = next.files.join("\n") === this.#current.files.join("\n");
    this.#take(next, isOfSameFiles ? signature : "");
  }

  #take(next: WebConfig, signature: string): void {
    const before = this.#current;
    const recovered = this.#problem !== undefined;
    this.#current = next;
    this.#signature = signature;
    this.#problem = undefined;
    const isSame = JSON.stringify(plain(next)) === JSON.stringify(plain(before));
    if (recovered || !isSame) this.#log?.info("Web configuration read", { file: this.file });
    this.#warn(next, before.warnings);
    if (next.socketFingerprint === before.socketFingerprint) return;
    for (const listener of this.#listeners) listener(next);
  }

  #fail(problem: string): void {
    if (problem !== this.#problem) {
      this.#log?.error("Cannot read the web configuration, the one before it holds", {
        file: this.file,
        error: problem,
      });
    }
    this.#problem = problem;
  }

  #warn({ warnings }: WebConfig, known: readonly string[]): void {
    for (const warning of warnings) {
      if (!known.includes(warning)) this.#log?.warn("Web configuration", { file: this.file, warning });
    }
  }
}

/** Whether something that protected is gone. */
function isWeaker(next: WebConfig, now: WebConfig): boolean {
  const lost = (has: (config: WebConfig) => boolean) => has(now) && !has(next);
  return (
    lost(({ users }) => users.size > 0) ||
    lost(({ tls }) => tls !== undefined) ||
    lost(({ tls }) => tls?.rejectUnauthorized === true)
  );
}

function plain(config: WebConfig): unknown {
  return [config.socketFingerprint, config.headers, [...config.users], config.rateLimit];
}

/** Changes when a file does: by its times, size and inode. A missing file counts too. */
async function signatureOf(files: readonly string[]): Promise<string> {
  const parts = files.map(async (file) => {
    try {
      const { mtimeNs, ctimeNs, size, ino } = await stat(file, { bigint: true });
      return `${mtimeNs} ${ctimeNs} ${size} ${ino}`;
    } catch (error) {
      return String((error as { code?: string }).code);
    }
  });
  return (await Promise.all(parts)).join("\n");
}
