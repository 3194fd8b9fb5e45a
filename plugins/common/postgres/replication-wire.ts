/**
 * The socket of a replication connection. node-postgres greets and logs in; from then on messages are read here, so that
 * WAL is handed over without a copy and nothing that a server sends can throw where nobody catches.
 */
import type { EventEmitter } from "node:events";
import { isIP, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { Connection } from "pg";
import { isReadable } from "../system/libc.ts";
import { AuthenticationOrder } from "./authentication-order.ts";
import { code, MessageReader, readNotice, readParameterStatus } from "./backend-messages.ts";
import type { ServerNotice } from "./replication-error.ts";
import type { Encryption } from "./tls.ts";

/** What node-postgres's Connection has beyond its published types. */
interface PgConnection extends EventEmitter {
  stream: Duplex;
  startup(parameters: Readonly<Record<string, string>>): void;
  attachListeners(stream: Pick<Duplex, "on">): void;
  query(text: string): void;
  sendCopyFromChunk(payload: Buffer): void;
  endCopyFrom(): void;
}
const PgConnection = Connection as unknown as new (config: { ssl: boolean }) => PgConnection;

const terminateMessage = Buffer.from([0x58, 0, 0, 0, 4]);

const keepaliveIdleMs = 30_000;

/** How far a connection got. A server that refuses before `ready` may be tried with another encryption. */
export type Phase = "connecting" | "encrypting" | "authenticating" | "starting" | "ready";

/** Why no message will come any more. */
export type WireEnd =
  | { readonly kind: "socket"; readonly error: Error }
  | { readonly kind: "encryption"; readonly error: Error }
  /** The server does not encrypt. */
  | { readonly kind: "unencrypted" }
  | { readonly kind: "refused"; readonly notice: ServerNotice }
  /** What came is not PostgreSQL's protocol, or not now. */
  | { readonly kind: "protocol"; readonly found: string; readonly cause?: unknown }
  | { readonly kind: "authentication"; readonly found: string }
  /** The connection was closed without a word. */
  | { readonly kind: "closed" };

export interface WireOptions {
  readonly encryption: Encryption;
  readonly requiresChannelBinding: boolean;
  /** Start-up parameters. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** Who reads a connection behind its start-up. */
export interface WireReader {
  /** Gets each message: a view, valid only during the call. False drops the rest; a throw ends the connection. */
  message(code: number, message: Buffer): boolean;
  /** All that was readable at once has been handed over. @param isWhole Nothing of a further message came with it. */
  read(isWhole: boolean): void;
  /** Called once. */
  ended(end: WireEnd): void;
}

export class Wire extends PgConnection {
  readonly #options: WireOptions;
  readonly #socket: Socket;
  readonly #messages = new MessageReader();
  readonly #parameters = new Map<string, string>();
  /** node-postgres's parser, while it logs in. */
  #parser: ((chunk: Buffer) => void) | undefined;
  readonly #authentication: AuthenticationOrder;
  #phase: Phase = "connecting";
  #end: WireEnd | undefined;
  #lastNotice: ServerNotice | undefined;
  #reader: WireReader | undefined;
  /** Came together with the end of the start-up. */
  #unclaimed: [code: number, message: Buffer][] = [];
  readonly #started = Promise.withResolvers<void>();

  constructor(options: WireOptions) {
    super({ ssl: options.encryption !== undefined });
    this.#options = options;
    this.#authentication = new AuthenticationOrder(options.requiresChannelBinding);
    this.#started.promise.catch(() => {});
    // node-postgres makes a plain socket, and replaces it when it is encrypted.
    this.#socket = this.stream as Socket;
  }

  get phase(): Phase {
    return this.#phase;
  }
  /** Values that the server reports, newest first. */
  get parameters(): ReadonlyMap<string, string> {
    return this.#parameters;
  }
  get lastNotice(): ServerNotice | undefined {
    return this.#lastNotice;
  }

  /** Fulfilled when the server takes commands; rejected with a {@link WireEnd}. */
  get started(): Promise<void> {
    return this.#started.promise;
  }

  /** From now on, messages go to `reader`. */
  claim(reader: WireReader): void {
    this.#reader = reader;
    const unclaimed = this.#unclaimed;
    this.#unclaimed = [];
    if (this.#end) {
      reader.ended(this.#end);
      return;
    }
    this.#guard(() => {
      for (const [type, message] of unclaimed) reader.message(type, message);
    });
  }

  /** Called by node-postgres with a port and a host, or with the path of a Unix socket. */
  connect(portOrPath: number | string, host?: string): void {
    const socket = this.#socket;
    socket.setNoDelay(true);
    socket.once("connect", () => {
      if (this.#end) return;
      socket.setKeepAlive(true, keepaliveIdleMs);
      this.#phase = this.#options.encryption ? "encrypting" : "authenticating";
      this.#guard(() => this.emit("connect"));
    });
    socket.on("error", (error) => this.#socketFailed(error));
    // What an encrypted stream still holds goes first.
    socket.on("close", () => setImmediate(() => this.finish({ kind: "closed" })));
    if (this.#options.encryption) socket.once("data", (answer: Buffer) => this.#guard(() => this.#encrypt(answer)));
    else this.attachListeners(socket);
    if (typeof portOrPath === "string") socket.connect(portOrPath);
    else socket.connect({ port: portOrPath, host, family: isIP(host ?? "") });
  }

  /** The server's answer to the request for encryption: one byte, unless it is an old or broken server's error. */
  #encrypt(answer: Buffer): void {
    const [first] = answer;
    // Bytes behind the S came from somebody between us and the server (CVE-2021-23222).
    if (answer.length !== 1 || first !== 0x53) {
      const found = `${answer.length} bytes instead of an answer to the request for encryption`;
      if (first === code.errorResponse && answer.length > 5)
        this.finish({ kind: "refused", notice: readNotice(answer) });
      else if (first === 0x4e && answer.length === 1) this.finish({ kind: "unencrypted" });
      else this.finish({ kind: "protocol", found });
      return;
    }
    let encrypted: TLSSocket;
    try {
      encrypted = connectTls({ ...this.#options.encryption, socket: this.#socket });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const found = `the certificates or the key cannot be used: ${reason}`;
      this.finish({ kind: "encryption", error: new Error(found, { cause }) });
      return;
    }
    this.stream = encrypted;
    encrypted.on("error", (error) => this.#socketFailed(error));
    encrypted.once("secureConnect", () => {
      if (this.#end) return;
      if (this.#options.encryption?.rejectUnauthorized !== false && !encrypted.authorized)
        return this.#socketFailed(new Error(`the certificate is not trusted: ${encrypted.authorizationError}`));
      this.#phase = "authenticating";
      this.#guard(() => this.emit("sslconnect"));
    });
    this.attachListeners(encrypted);
  }

  /** Called by node-postgres with what it would send itself. */
  override startup(): void {
    super.startup(this.#options.parameters);
  }

  /** Called with the stream that messages come from. */
  override attachListeners(stream: Duplex): void {
    super.attachListeners({
      on: (event: string, listener: (chunk: Buffer) => void) => {
        if (event === "data") this.#parser = listener;
        return stream;
      },
    } as Pick<Duplex, "on">);
    stream.on("data", (chunk: Buffer) => this.#read(chunk));
    stream.on("end", () => this.finish({ kind: "closed" }));
    stream.on("close", () => this.finish({ kind: "closed" }));
  }

  #read(chunk: Buffer): void {
    if (this.#end) return;
    this.#guard(() => {
      this.#messages.read(chunk, (type, message) => this.#take(type, message) && this.#end === undefined);
      if (!this.#end) this.#reader?.read(this.#messages.isBetweenMessages);
    });
  }

  #take(type: number, message: Buffer): boolean {
    if (type === code.parameterStatus) {
      const [name, value] = readParameterStatus(message);
      this.#parameters.set(name, value);
      return true;
    }
    if (type === code.noticeResponse) {
      this.#lastNotice = readNotice(message);
      return true;
    }
    if (type === code.notificationResponse) return true;
    if (this.#phase !== "ready") return this.#takeAtStart(type, message);
    if (this.#reader) return this.#reader.message(type, message);
    this.#unclaimed.push([type, Buffer.from(message)]);
    return true;
  }

  #takeAtStart(type: number, message: Buffer): boolean {
    if (type === code.errorResponse) {
      this.finish({ kind: "refused", notice: readNotice(message) });
      return false;
    }
    if (type === code.readyForQuery) {
      if (this.#phase !== "starting") throw new SyntaxError("ReadyForQuery before the authentication ended");
      this.#phase = "ready";
      this.#parser = undefined;
      this.#started.resolve();
      return true;
    }
    if (type === code.authentication) {
      const refusal = this.#authentication.next(message);
      if (refusal !== undefined) this.finish({ kind: "authentication", found: refusal });
      if (this.#authentication.isOver) this.#phase = "starting";
      // A copy: node-postgres keeps parts of it across waits, and the reader's memory is used again.
      this.#parser?.(Buffer.from(message));
    } else if (type !== code.backendKeyData && type !== code.negotiateProtocolVersion)
      throw new SyntaxError(`an unexpected message of type "${String.fromCharCode(type)}" at the start`);
    return true;
  }

  /** Runs what messages cause: a throw ends the connection instead of the process. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (cause) {
      const found = cause instanceof Error ? cause.message : String(cause);
      this.finish({ kind: "protocol", found, cause });
    }
  }

  #socketFailed(error: Error): void {
    this.finish({ kind: this.#phase === "encrypting" ? "encryption" : "socket", error });
  }

  /** Ends the connection at once; the first reason stays. */
  finish(end: WireEnd): void {
    if (this.#end) return;
    this.#end = end;
    this.#parser = undefined;
    this.stream.destroy();
    this.#socket.destroy();
    this.#started.reject(end);
    this.#reader?.ended(end);
  }

  /** Says goodbye; what was written before goes out first. */
  terminate(): void {
    this.stream.end(terminateMessage);
  }

  /** Whether the kernel has more for us; undefined where it cannot be asked. */
  isReadable(): boolean | undefined {
    // Bun keeps the descriptor where Node.js does.
    const { _handle: handle } = this.#socket as Socket & { _handle?: { fd?: number } | null };
    return handle?.fd !== undefined && handle.fd >= 0 ? isReadable(handle.fd) : undefined;
  }

  get isEnded(): boolean {
    return this.#end !== undefined;
  }
}
