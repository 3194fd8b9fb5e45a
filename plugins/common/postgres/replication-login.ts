/** Opens replication connections: which server, which address, with which encryption, in libpq's order. */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { Client } from "pg";
import type { ConnectionTarget, HostTarget } from "./conninfo.ts";
import { type Limits, within } from "./limits.ts";
import { ReplicationError, type ReplicationErrorKind } from "./replication-error.ts";
import { describeEnd } from "./replication-failure.ts";
import { type Phase, Wire } from "./replication-wire.ts";
import { type Encryption, encryptionsToTry } from "./tls.ts";

/** For messages: `db1:5432`, `[::1]:5432` or `/var/run/postgresql:5432`. */
export const placeOf = ({ host, port }: HostTarget): string => `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;

/** A login that failed, and how far it got. */
class LoginError extends ReplicationError {
  readonly phase: Phase;
  readonly wasEncrypted: boolean;
  constructor(
    phase: Phase,
    wasEncrypted: boolean,
    kind: ReplicationErrorKind,
    message: string,
    options: { sqlState?: string | undefined; cause?: unknown },
  ) {
    super(kind, message, options);
    this.phase = phase;
    this.wasEncrypted = wasEncrypted;
  }
}

export interface Login {
  readonly target: ConnectionTarget;
  readonly host: HostTarget;
  /** An address of `host`, or a path. */
  readonly address: string;
  readonly encryption: Encryption;
  readonly applicationName: string;
}

/**
 * One attempt: connects, encrypts, logs in.
 * @throws {LoginError} With what was found alone as its message; whatever is thrown, the socket is gone.
 */
export async function login(attempt: Login, limits: Limits): Promise<Wire> {
  const { target, host, address, encryption, applicationName } = attempt;
  const wire = new Wire({
    encryption,
    requiresChannelBinding: target.channelBinding === "require",
    parameters: {
      user: target.user,
      database: target.database,
      replication: "true",
      application_name: applicationName,
      ...(target.options === undefined ? {} : { options: target.options }),
    },
  });
  const failure = (kind: ReplicationErrorKind, found: string, options: { sqlState?: string; cause?: unknown } = {}) =>
    new LoginError(wire.phase, encryption !== undefined, kind, found, options);
  const ready = Promise.withResolvers<void>();
  wire.onReady = ready.resolve;
  wire.onEnd = (end) => {
    const { kind, found, ...options } = describeEnd(end, wire.phase);
    ready.reject(failure(kind, found, options));
  };
  // Every field is given: node-postgres would take a missing one from the agent's own environment.
  const client = new Client({
    connection: wire,
    host: address,
    port: host.port,
    user: target.user,
    database: target.database,
    ssl: encryption !== undefined,
    sslnegotiation: "postgres",
    application_name: applicationName,
    enableChannelBinding: encryption !== undefined && target.channelBinding !== "disable",
    // libpq has no limit either, and ours is the deadline.
    scramMaxIterations: 0,
    password: () => {
      if (host.password) return host.password;
      throw new Error("the server asks for a password and none is known; give one, or a password file");
    },
  } as ConstructorParameters<typeof Client>[0]);
  const refuse = (error: Error) => wire.finish({ kind: "authentication", found: error.message });
  client.on("error", refuse);
  client.connect().catch(refuse);
  try {
    await within(ready.promise, limits, () => failure("timeout", `no answer within ${limits.timeoutMs / 1000} s`));
  } catch (error) {
    wire.onEnd = () => {};
    wire.finish({ kind: "closed" });
    throw error;
  }
  wire.onEnd = () => {};
  return wire;
}

/** Whether libpq would try the next encryption: the server refused this one, or us because of it. */
const mayTryOtherEncryption = (error: LoginError): boolean =>
  error.phase === "encrypting" || (error.phase === "authenticating" && error.kind === "authentication");

export interface Opened {
  readonly wire: Wire;
  readonly host: HostTarget;
}

export interface OpenOptions extends Limits {
  readonly applicationName: string;
  /** Asks whether this server is one that is wanted; undefined, or why it is not. */
  readonly refusal: (opened: Opened, limits: Limits) => Promise<string | undefined>;
}

/** @throws {ReplicationError} No server of the list will do; the message tells each. */
export async function openOneOf(target: ConnectionTarget, options: OpenOptions): Promise<Opened> {
  const { signal, timeoutMs, applicationName, refusal } = options;
  const end = performance.now() + timeoutMs;
  const found: string[] = [];
  let last: ReplicationError | undefined;
  const fail = (host: HostTarget, error: ReplicationError) => {
    const text = `${placeOf(host)}: ${error.message}`;
    if (!found.includes(text)) found.push(text);
    last = error;
  };
  const giveUp = () =>
    new ReplicationError(last?.kind ?? "timeout", `Cannot connect to PostgreSQL at ${found.join("; at ")}`, {
      sqlState: last?.sqlState,
      cause: last?.cause,
    });
  for (const [index, host] of target.hosts.entries()) {
    signal.throwIfAborted();
    // A server that swallows all packets leaves the others their time.
    const share = (end - performance.now()) / (target.hosts.length - index);
    const hostEnd = performance.now() + Math.min(share, target.connectTimeoutMs ?? Number.POSITIVE_INFINITY);
    const left = () => ({ signal, timeoutMs: Math.max(Math.round(hostEnd - performance.now()), 1) });
    try {
      const encryptions = await encryptionsToTry(target, host);
      const addresses = await within(addressesOf(host), left(), () => new Error("its name was not resolved in time"));
      for (const address of addresses) {
        for (const encryption of encryptions) {
          try {
            const wire = await login({ target, host, address, encryption, applicationName }, left());
            const reason = await refusal({ wire, host }, left());
            if (reason === undefined) return { wire, host };
            fail(host, new ReplicationError("connect", reason));
            break;
          } catch (error) {
            if (!(error instanceof ReplicationError)) throw error;
            fail(host, error);
            if (!(error instanceof LoginError) || !mayTryOtherEncryption(error)) break;
          }
        }
      }
      // libpq: a server that answers and refuses us is the end of the search, unless it only starts or stops.
      if (last?.kind === "authentication" || last?.kind === "server_error") throw giveUp();
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (error instanceof ReplicationError) throw error;
      fail(
        host,
        new ReplicationError("connect", error instanceof Error ? error.message : String(error), { cause: error }),
      );
    }
  }
  throw giveUp();
}

async function addressesOf({ host, address, port }: HostTarget): Promise<readonly string[]> {
  if (address !== undefined) return [address];
  if (host.startsWith("/") || isIP(host) !== 0) return [host];
  try {
    return (await lookup(host, { all: true })).map((each) => each.address);
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : cause;
    throw new Error(`the name "${host}" of port ${port} has no address (${code})`, { cause });
  }
}
