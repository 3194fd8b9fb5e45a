/** Opens replication connections: which server, which address, with which encryption, in libpq's order. */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { Client } from "pg";
import type { ConnectionTarget, HostTarget } from "./conninfo.ts";
import { type Limits, within } from "./limits.ts";
import { ReplicationError } from "./replication-error.ts";
import { describeEnd, type Failure, noAnswer } from "./replication-failure.ts";
import { type Phase, Wire, type WireEnd } from "./replication-wire.ts";
import { type Encryption, encryptionsToTry } from "./tls.ts";

/** For messages: `db1:5432`, `[::1]:5432` or `/var/run/postgresql:5432`. */
export const placeOf = ({ host, port }: HostTarget): string => `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;

/** A login that failed, with what was found alone as its message. */
class LoginError extends ReplicationError {
  /** How far it got. */
  readonly phase: Phase;
  /** The server answered that it does not encrypt: no failure where that is not insisted on. */
  readonly isUnencrypted: boolean;
  constructor(phase: Phase, { kind, found, ...options }: Failure, isUnencrypted = false) {
    super(kind, found, options);
    this.phase = phase;
    this.isUnencrypted = isUnencrypted;
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
 * @throws {LoginError} Whatever is thrown, the socket is gone.
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
  const late = () => new LoginError(wire.phase, { kind: "timeout", found: noAnswer(limits.timeoutMs) });
  const started = wire.started.catch((end: WireEnd) => {
    throw new LoginError(wire.phase, describeEnd(end, wire.phase), end.kind === "unencrypted");
  });
  try {
    await within(started, limits, late);
    return wire;
  } catch (error) {
    wire.finish({ kind: "closed" });
    throw error;
  }
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

/** libpq: a server that answers and refuses us is the end of the search, unless it only starts or stops. */
export const isFinal = ({ kind }: ReplicationError): boolean => kind === "authentication" || kind === "server_error";

/** @throws {ReplicationError} No server of the list will do; the message tells each. */
export async function openOneOf(target: ConnectionTarget, options: OpenOptions): Promise<Opened> {
  const { signal, timeoutMs } = options;
  const end = performance.now() + timeoutMs;
  const found = new Set<string>();
  let last = new ReplicationError("connect", "no host is named");
  const fail = (host: HostTarget, error: ReplicationError) => {
    found.add(`${placeOf(host)}: ${error.message}`);
    last = error;
  };
  for (const [index, host] of target.hosts.entries()) {
    // A server that swallows all packets leaves the others their time.
    const share = (end - performance.now()) / (target.hosts.length - index);
    const hostEnd = performance.now() + Math.min(share, target.connectTimeoutMs ?? Number.POSITIVE_INFINITY);
    try {
      const opened = await openHost({ target, host, end: hostEnd, options, fail: (error) => fail(host, error) });
      if (opened) return opened;
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      fail(host, asReplicationError(error));
    }
    if (isFinal(last)) break;
  }
  throw new ReplicationError(last.kind, `Cannot connect to PostgreSQL at ${[...found].join("; at ")}`, {
    sqlState: last.sqlState,
    cause: last.cause,
  });
}

interface HostSearch {
  readonly target: ConnectionTarget;
  readonly host: HostTarget;
  /** On the clock of `performance.now()`. */
  readonly end: number;
  readonly options: OpenOptions;
  /** Told of each failure. */
  fail(error: ReplicationError): void;
}

/** The first connection to one of the host's addresses; undefined, or a throw, when there is none. */
async function openHost({ target, host, end, options, fail }: HostSearch): Promise<Opened | undefined> {
  const { signal, applicationName, refusal } = options;
  const limits = (shares = 1): Limits => ({ signal, timeoutMs: Math.max((end - performance.now()) / shares, 1) });
  signal.throwIfAborted();
  const encryptions = await encryptionsToTry(target, host);
  const addresses = await within(addressesOf(host), limits(), () => new Error("its name was not resolved in time"));
  for (const [index, address] of addresses.entries()) {
    for (const encryption of encryptions) {
      const share = limits(addresses.length - index);
      try {
        const wire = await login({ target, host, address, encryption, applicationName }, share);
        const reason = await refusal({ wire, host }, limits());
        if (reason === undefined) return { wire, host };
        fail(new ReplicationError("connect", reason));
        return undefined;
      } catch (cause) {
        signal.throwIfAborted();
        const error = asReplicationError(cause);
        const mayGoOn =
          error instanceof LoginError && mayTryOtherEncryption(error) && encryption !== encryptions.at(-1);
        if (!(mayGoOn && error.isUnencrypted)) fail(error);
        if (mayGoOn) continue;
        if (isFinal(error)) return undefined;
        break;
      }
    }
  }
  return undefined;
}

const asReplicationError = (error: unknown): ReplicationError =>
  error instanceof ReplicationError
    ? error
    : new ReplicationError("connect", error instanceof Error ? error.message : String(error), { cause: error });

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
