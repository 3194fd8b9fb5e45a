/** Makes the connection of a storage when it is needed, and a new one when it was lost. */
import { readFile } from "node:fs/promises";
import type { ConnectConfig } from "ssh2";
import { messageOf, StorageError } from "../errors.ts";
import { type HostKeySettings, hostKeyCheck } from "./host-key.ts";
import { SftpSession } from "./session.ts";

export interface ConnectorOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string;
  readonly privateKeyFile?: string;
  /** Of the private key. */
  readonly passphrase?: string;
  /** The socket of an SSH agent. */
  readonly agent?: string;
  readonly hostKey: Omit<HostKeySettings, "host" | "port">;
  readonly timeoutMs: number;
  /** How often the server is asked for a sign of life; three without an answer end the connection. */
  readonly keepAliveMs: number;
}

export class Connector {
  readonly #options: ConnectorOptions;
  #session: Promise<SftpSession> | undefined;
  /** The same, once it is made. */
  #made: SftpSession | undefined;
  #isClosed = false;

  constructor(options: ConnectorOptions) {
    this.#options = options;
  }

  /** The one connection; many callers share its making. @throws {StorageError} */
  session(): Promise<SftpSession> {
    const { host, port } = this.#options;
    if (this.#isClosed)
      return Promise.reject(new StorageError("unavailable", `Cannot use ${host}:${port}: the storage was closed`));
    if (this.#session !== undefined) return this.#session;
    const forget = () => {
      if (this.#session !== opening) return;
      this.#session = undefined;
      this.#made = undefined;
    };
    const opening = this.#open(forget);
    this.#session = opening;
    opening.then((session) => {
      if (this.#session === opening) this.#made = session;
    }, forget);
    return opening;
  }

  /** A connection that is still being made is not waited for: a server that hangs would take its time. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#made !== undefined) await this.#made.close();
    else
      this.#session?.then(
        (session) => session.close(),
        () => {},
      );
  }

  /** Keys and known hosts are read each time: who replaces a file need not restart anything. */
  async #open(onLost: () => void): Promise<SftpSession> {
    const { host, port, user, password, privateKeyFile, passphrase, agent, timeoutMs, keepAliveMs } = this.#options;
    const hostKey = await hostKeyCheck({ ...this.#options.hostKey, host, port });
    const connect: ConnectConfig = { host, port, username: user, keepaliveInterval: keepAliveMs, keepaliveCountMax: 3 };
    const methods: string[] = [];
    if (privateKeyFile !== undefined) {
      connect.privateKey = await readKey(privateKeyFile);
      if (passphrase !== undefined) connect.passphrase = passphrase;
      methods.push(`private_key_file ${privateKeyFile}`);
    }
    if (agent !== undefined) {
      connect.agent = agent;
      methods.push(`the agent at ${agent}`);
    }
    if (password !== undefined) {
      connect.password = password;
      // Some servers ask for passwords in this way only.
      connect.tryKeyboard = true;
      methods.push("password");
    }
    const options = { target: `${host}:${port}`, user, methods: methods.join(", "), connect, hostKey, timeoutMs };
    return await SftpSession.open(options, onLost);
  }
}

async function readKey(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    const remedy = "check private_key_file, and that the agent's user may read it";
    throw new StorageError("misconfigured", `Cannot read the private key ${path}: ${messageOf(cause)}; ${remedy}`, {
      cause,
    });
  }
}
