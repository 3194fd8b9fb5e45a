/** One SSH connection with one SFTP channel, whose requests are promises that never hang. */
import ssh2, { type Client, type ConnectConfig, type SFTPWrapper } from "ssh2";
import { StorageError } from "../errors.ts";
import { connectError, requestError } from "./failures.ts";
import type { HostKeyCheck } from "./host-key.ts";

export interface SessionOptions {
  /** `host:port`, for messages. */
  readonly target: string;
  readonly user: string;
  /** Names the ways to log in, for messages. */
  readonly methods: string;
  readonly connect: ConnectConfig;
  readonly hostKey: HostKeyCheck;
  /** How long the server may leave all of our requests unanswered. */
  readonly timeoutMs: number;
}

type Callback<Value> = (error: Error | null | undefined, value: Value) => void;

export class SftpSession {
  readonly #client: Client;
  readonly #sftp: SFTPWrapper;
  readonly #options: SessionOptions;
  readonly #pending = new Set<(error: StorageError) => void>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lost: StorageError | undefined;

  private constructor(client: Client, sftp: SFTPWrapper, options: SessionOptions) {
    this.#client = client;
    this.#sftp = sftp;
    this.#options = options;
  }

  /** @throws {StorageError} unavailable, or misconfigured: host key, user, key or password. */
  static async open(options: SessionOptions, onLost: () => void): Promise<SftpSession> {
    const { target, user, methods, connect, hostKey, timeoutMs } = options;
    const client = new ssh2.Client();
    let refusal: StorageError | undefined;
    let session: SftpSession | undefined;
    const opened = Promise.withResolvers<SFTPWrapper>();
    client.on("ready", () => client.sftp((error, sftp) => (error ? opened.reject(error) : opened.resolve(sftp))));
    client.on("error", (error: Error & { level?: string }) => {
      // An agent that does not answer is one way to log in that failed; others follow.
      if (error.level === "agent") return;
      opened.reject(error);
      session?.fail(error.message);
    });
    client.on("close", () => {
      opened.reject(new Error("the server ended the connection"));
      session?.fail("the connection ended");
      onLost();
    });
    client.on("keyboard-interactive", (_name, _instructions, _language, prompts, finish) =>
      finish(prompts.map(() => connect.password ?? "")),
    );
    // Opening the channel has no limit of its own.
    const timer = setTimeout(() => opened.reject(new Error(`no answer in ${timeoutMs / 1000} s`)), timeoutMs);
    try {
      client.connect({
        ...connect,
        readyTimeout: timeoutMs,
        algorithms: { ...connect.algorithms, serverHostKey: hostKey.algorithms },
        hostVerifier: (key: Buffer) => {
          refusal = hostKey.verify(key);
          return refusal === undefined;
        },
      });
      const sftp = await opened.promise;
      const made = new SftpSession(client, sftp, options);
      session = made;
      // The connection may outlive it, and ssh2 takes further requests that nobody will answer.
      sftp.once("close", () => made.fail("the server ended the SFTP channel"));
      return made;
    } catch (error) {
      client.destroy();
      throw refusal ?? connectError(target, user, methods, error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** @param what Completes "Cannot …". @param start Makes the request; its callback gets the answer. */
  request<Value = void>(what: string, start: (sftp: SFTPWrapper, callback: Callback<Value>) => void): Promise<Value> {
    return new Promise<Value>((resolve, reject) => {
      if (this.#lost !== undefined) return reject(this.#lost);
      const lose = (error: StorageError) => {
        this.#settle(lose);
        reject(error);
      };
      this.#pending.add(lose);
      if (this.#pending.size === 1) this.#watch();
      try {
        start(this.#sftp, (error, value) => {
          if (!this.#settle(lose)) return;
          // ssh2 answers what a lost connection leaves open with an error that has no status.
          if (error) reject(this.#lost ?? requestError(what, error));
          else resolve(value);
        });
      } catch (error) {
        this.#settle(lose);
        reject(requestError(what, error));
      }
    });
  }

  /** Ends the connection; what is under way fails. */
  fail(found: string): void {
    if (this.#lost !== undefined) return;
    this.#lost = new StorageError("unavailable", `Cannot go on with ${this.#options.target}: ${found}`);
    for (const lose of [...this.#pending]) lose(this.#lost);
    clearTimeout(this.#timer);
    this.#client.destroy();
  }

  /** Says goodbye, and is gone when this returns. */
  async close(): Promise<void> {
    if (this.#lost !== undefined) return;
    const closed = Promise.withResolvers<void>();
    this.#client.once("close", () => closed.resolve());
    this.#client.end();
    const timer = setTimeout(() => closed.resolve(), 1000);
    await closed.promise;
    clearTimeout(timer);
    this.fail("it was closed");
  }

  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  #settle(lose: (error: StorageError) => void): boolean {
    if (!this.#pending.delete(lose)) return false;
    if (this.#pending.size === 0) clearTimeout(this.#timer);
    else this.#watch();
    return true;
  }

  /** Any answer is a sign of life; the time begins anew. */
  #watch(): void {
    if (this.#timer !== undefined && this.#pending.size > 1) {
      this.#timer.refresh();
      return;
    }
    clearTimeout(this.#timer);
    const { timeoutMs } = this.#options;
    this.#timer = setTimeout(() => this.fail(`no answer in ${timeoutMs / 1000} s`), timeoutMs);
  }
}
