/**
 * Where a PostgreSQL server is and how to log in, found as libpq finds it: what is written out, then the service, then
 * the environment, then the defaults; a password that is still missing comes from the password file.
 * Source: PostgreSQL documentation, "Database Connection Control Functions", sections 34.1 and 34.15 to 34.17.
 */
import { readFile, stat } from "node:fs/promises";
import { homedir, userInfo } from "node:os";
import { join } from "node:path";
import {
  type ConnectionKeywords,
  isKeyword,
  type Keyword,
  keywords,
  parseConnectionString,
} from "./connection-string.ts";

export { type ConnectionKeywords, type Keyword, parseConnectionString };

export type Environment = Readonly<Record<string, string | undefined>>;

/** A connection that is known in full. `host` and `port` are the first server's, as are those of `hosts`. */
export interface ConnectionTarget {
  /** A directory of Unix sockets when it begins with a slash. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string | undefined;
  readonly sslmode: SslMode;
  /** A file, or `system`. Undefined also when nothing names one and `~/.postgresql/root.crt` does not exist. */
  readonly sslrootcert: string | undefined;
  readonly sslcert: string | undefined;
  readonly sslkey: string | undefined;
  readonly applicationName: string | undefined;
  readonly options: string | undefined;
  /** The servers to try in turn; at least one. */
  readonly hosts: readonly HostTarget[];
  readonly targetSessionAttributes: TargetSessionAttributes;
  /** For one server of the list; undefined: no limit of its own. */
  readonly connectTimeoutMs: number | undefined;
  /** Of the client's private key. */
  readonly sslpassword: string | undefined;
  /** Tells the server in the clear which host is wanted. */
  readonly sslsni: boolean;
  readonly channelBinding: ChannelBinding;
}

/** One server of a list. */
export interface HostTarget {
  /** Name or address, or a directory of Unix sockets when it begins with a slash. */
  readonly host: string;
  /** Where to connect instead of asking for the address of `host`, which its certificate is still held against. */
  readonly address: string | undefined;
  readonly port: number;
  readonly password: string | undefined;
}

const sslModes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const;
export type SslMode = (typeof sslModes)[number];

const sessionAttributes = ["any", "read-write", "read-only", "primary", "standby", "prefer-standby"] as const;
export type TargetSessionAttributes = (typeof sessionAttributes)[number];

const channelBindings = ["disable", "prefer", "require"] as const;
export type ChannelBinding = (typeof channelBindings)[number];

/** Whether an environment names a server: then `{}` is a connection that was meant. */
export function namesServer(environment: Environment): boolean {
  return ["PGHOST", "PGHOSTADDR", "PGSERVICE"].some((name) => environment[name]);
}

/**
 * Resolves a connection: keywords, service file, environment, defaults, password file.
 * @param defaultDatabase Where nothing names one; undefined: the user's name. Tools that speak the replication protocol
 *   look themselves up in the password file as `replication`.
 * @throws {Error} A service, a number or a choice that cannot be had.
 */
export async function resolveConnection(
  written: ConnectionKeywords,
  environment: Environment,
  defaultDatabase?: string,
): Promise<ConnectionTarget> {
  const home = environment.HOME || homedir();
  const service = written.service ?? environment.PGSERVICE;
  const fromService = service ? await readService(service, environment, home) : {};
  const value = (name: Keyword): string | undefined => {
    const variable = keywords[name];
    return written[name] || fromService[name] || (variable && environment[variable]) || undefined;
  };
  const user = value("user") ?? (await ownUserName());
  const database = value("dbname") ?? defaultDatabase ?? user;
  const places = listHosts(value("host"), value("hostaddr"), value("port"));
  const given = value("password");
  const passwords = given === undefined ? await readPasswordFile(value("passfile") ?? join(home, ".pgpass")) : "";
  const hosts = places.map(
    (place): HostTarget => ({ ...place, password: given ?? findPassword(passwords, { ...place, database, user }) }),
  );
  const [first] = hosts;
  if (first === undefined) throw new Error("Cannot connect to PostgreSQL: no host is named");
  const inHome = async (name: string) => {
    const file = join(home, ".postgresql", name);
    return (await stat(file).catch(() => undefined))?.isFile() ? file : undefined;
  };
  const sslrootcert = value("sslrootcert") ?? (await inHome("root.crt"));
  const sslcert = value("sslcert") ?? (await inHome("postgresql.crt"));
  const isSystem = sslrootcert === "system";
  const sslmode = choice("sslmode", value("sslmode") ?? (isSystem ? "verify-full" : "prefer"), sslModes);
  if (isSystem && sslmode !== "verify-full")
    throw new Error(`Cannot connect to PostgreSQL: sslrootcert=system needs sslmode=verify-full, found "${sslmode}"`);
  return {
    host: first.address ?? first.host,
    port: first.port,
    database,
    user,
    password: first.password,
    sslmode,
    sslrootcert,
    sslcert,
    sslkey: value("sslkey") ?? (sslcert && (await inHome("postgresql.key"))),
    applicationName: value("application_name"),
    options: value("options"),
    hosts,
    targetSessionAttributes: choice("target_session_attrs", value("target_session_attrs") ?? "any", sessionAttributes),
    connectTimeoutMs: connectTimeout(value("connect_timeout")),
    sslpassword: value("sslpassword"),
    sslsni: value("sslsni") !== "0",
    channelBinding: choice("channel_binding", value("channel_binding") ?? "prefer", channelBindings),
  };
}

/** libpq asks the system who this process is; `userInfo()` of this runtime believes the variable USER. */
async function ownUserName(): Promise<string> {
  const users = await readFile("/etc/passwd", "utf8").catch(() => "");
  const own = users.split("\n").find((line) => line.split(":")[2] === String(process.geteuid?.()));
  return own?.split(":")[0] || userInfo().username;
}

function choice<Value extends string>(name: Keyword, found: string, values: readonly Value[]): Value {
  const value = values.find((each) => each === found);
  if (value === undefined)
    throw new Error(`Cannot connect to PostgreSQL: ${name} "${found}" is none of ${values.join(", ")}`);
  return value;
}

/** Whole seconds; zero, less and nothing are no limit, and one second is two, as with libpq. */
function connectTimeout(text: string | undefined): number | undefined {
  const seconds = Number(text ?? 0);
  if (!Number.isInteger(seconds))
    throw new Error(`Cannot connect to PostgreSQL: connect_timeout "${text}" is no whole number of seconds`);
  return seconds > 0 ? Math.min(Math.max(seconds, 2), 86_400) * 1000 : undefined;
}

const defaultHost = "/var/run/postgresql";

/** Source: PostgreSQL documentation, "Specifying Multiple Hosts", section 34.1.1.3. */
function listHosts(host: string | undefined, hostaddr: string | undefined, port: string | undefined) {
  const names = host?.split(",").map((each) => each.trim());
  const addresses = hostaddr?.split(",").map((each) => each.trim());
  const ports = (port ?? "").split(",").map((each) => each.trim());
  const count = (names ?? addresses ?? [""]).length;
  if (names && addresses && names.length !== addresses.length)
    throw new Error(
      `Cannot connect to PostgreSQL: hostaddr lists ${addresses.length} and host ${names.length}; give as many of each`,
    );
  if (ports.length !== 1 && ports.length !== count)
    throw new Error(
      `Cannot connect to PostgreSQL: port lists ${ports.length} for ${count} hosts; give one, or one for each`,
    );
  return Array.from({ length: count }, (_, index) => {
    const address = addresses?.[index] || undefined;
    return {
      host: names?.[index] || address || defaultHost,
      address,
      port: portNumber(ports[ports.length === 1 ? 0 : index] || "5432"),
    };
  });
}

function portNumber(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new Error(`Cannot connect to PostgreSQL: the port "${text}" is no number from 1 to 65535`);
  return port;
}

async function readService(service: string, environment: Environment, home: string): Promise<ConnectionKeywords> {
  const own = environment.PGSERVICEFILE || join(home, ".pg_service.conf");
  const files = [own, join(environment.PGSYSCONFDIR || "/etc/postgresql-common", "pg_service.conf")];
  for (const file of files) {
    const text = await readFile(file, "utf8").catch(() => undefined);
    const found = text === undefined ? undefined : parseService(text, service);
    if (found) return found;
  }
  throw new Error(`Cannot connect to PostgreSQL: the service "${service}" stands in none of ${files.join(", ")}`);
}

/** The keywords of one `[service]` of a service file; undefined when it has no such section. */
export function parseService(text: string, service: string): ConnectionKeywords | undefined {
  let section: string | undefined;
  let result: Partial<Record<Keyword, string>> | undefined;
  for (const line of text.split("\n").map((raw) => raw.trim())) {
    if (line === "" || line.startsWith("#")) continue;
    const header = /^\[(.*)\]$/.exec(line);
    if (header) {
      section = header[1];
      if (section === service) result ??= {};
      continue;
    }
    const equals = line.indexOf("=");
    const name = line.slice(0, equals).trim();
    if (section === service && result && equals > 0 && isKeyword(name)) result[name] = line.slice(equals + 1).trim();
  }
  return result;
}

type PasswordQuestion = Pick<ConnectionTarget, "host" | "port" | "database" | "user">;

async function readPasswordFile(file: string): Promise<string> {
  const about = await stat(file).catch(() => undefined);
  // libpq ignores a file that others may read, rather than use a password that is no secret any more.
  if (!about?.isFile() || (about.mode & 0o077) !== 0) return "";
  return await readFile(file, "utf8").catch(() => "");
}

/** The password of the first line that fits, of a file of `host:port:database:user:password` lines. */
export function findPassword(text: string, { host, port, database, user }: PasswordQuestion): string | undefined {
  const hostInFile = host.startsWith("/") ? "localhost" : host;
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith("#")) continue;
    const fields = [...line.matchAll(/((?:[^:\\]|\\.)*)(?::|$)/g)].map(([, field = ""]) =>
      field.replace(/\\(.)/g, "$1"),
    );
    const [inHost, inPort, inDatabase, inUser, password] = fields;
    const fits = (inFile: string | undefined, wanted: string) => inFile === "*" || inFile === wanted;
    const hostFits = fits(inHost, hostInFile) || inHost === host;
    if (hostFits && fits(inPort, String(port)) && fits(inDatabase, database) && fits(inUser, user)) return password;
  }
  return undefined;
}
