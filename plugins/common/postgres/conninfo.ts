/**
 * Where a PostgreSQL server is and how to log in, found as libpq finds it: what is written out, then the service, then
 * the environment, then the defaults; a password that is still missing comes from the password file.
 * Source: PostgreSQL documentation, "Database Connection Control Functions", sections 34.1 and 34.15 to 34.17.
 */
import { readFile, stat } from "node:fs/promises";
import { homedir, userInfo } from "node:os";
import { join } from "node:path";

/** The keywords that are understood, as they stand in a connection string. */
const keywords = {
  host: "PGHOST",
  hostaddr: "PGHOSTADDR",
  port: "PGPORT",
  dbname: "PGDATABASE",
  user: "PGUSER",
  password: "PGPASSWORD",
  passfile: "PGPASSFILE",
  service: "PGSERVICE",
  sslmode: "PGSSLMODE",
  sslrootcert: "PGSSLROOTCERT",
  sslcert: "PGSSLCERT",
  sslkey: "PGSSLKEY",
  application_name: "PGAPPNAME",
  connect_timeout: "PGCONNECT_TIMEOUT",
  options: "PGOPTIONS",
} as const;

export type Keyword = keyof typeof keywords;
export type ConnectionKeywords = Readonly<Partial<Record<Keyword, string>>>;
export type Environment = Readonly<Record<string, string | undefined>>;

/** A connection that is known in full. `host` is a directory of Unix sockets when it begins with a slash. */
export interface ConnectionTarget {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string | undefined;
  readonly sslmode: SslMode;
  readonly sslrootcert: string | undefined;
  readonly sslcert: string | undefined;
  readonly sslkey: string | undefined;
  readonly applicationName: string | undefined;
  readonly options: string | undefined;
}

const sslModes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const;
export type SslMode = (typeof sslModes)[number];

const isKeyword = (name: string): name is Keyword => Object.hasOwn(keywords, name);

/** Whether an environment names a server: then `{}` is a connection that was meant. */
export function namesServer(environment: Environment): boolean {
  return ["PGHOST", "PGHOSTADDR", "PGSERVICE"].some((name) => environment[name]);
}

/**
 * The keywords of a connection string: `postgresql://user@host:5432/db?sslmode=require` or `host=db1 dbname=postgres`.
 * @throws {SyntaxError} It is neither, or holds a keyword that is not understood. The message never repeats the text.
 */
export function parseConnectionString(text: string): ConnectionKeywords {
  return /^postgres(?:ql)?:\/\//.test(text) ? parseUri(text) : parseKeyValues(text);
}

function parseUri(text: string): ConnectionKeywords {
  const match =
    /^postgres(?:ql)?:\/\/(?:([^:@/?]*)(?::([^@/?]*))?@)?([^:/?[\]]*|\[[^\]]*\])(?::(\d*))?(?:\/([^?]*))?(?:\?(.*))?$/.exec(
      text,
    );
  if (!match)
    throw new SyntaxError(
      "Cannot read the connection URI: expected postgresql://[user[:password]@]host[:port]/[database][?key=value]",
    );
  const [, user, password, host, port, dbname, query] = match.map((part) => part && decodeURIComponent(part));
  const written = { user, password, host: host?.replace(/^\[|\]$/g, ""), port, dbname };
  const result: Partial<Record<Keyword, string>> = {};
  for (const [name, value] of [...Object.entries(written), ...new URLSearchParams(query ?? "")]) {
    if (value) assign(result, name, value);
  }
  return result;
}

function parseKeyValues(text: string): ConnectionKeywords {
  const pair = /\s*([a-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?=\s|$)/gy;
  const result: Partial<Record<Keyword, string>> = {};
  while (text.slice(pair.lastIndex).trim() !== "") {
    const at = pair.lastIndex;
    const match = pair.exec(text);
    if (!match?.[1])
      throw new SyntaxError(`Cannot read the connection string at character ${at + 1}: expected keyword=value`);
    assign(result, match[1], (match[2] ?? match[3] ?? "").replace(/\\(.)/g, "$1"));
  }
  return result;
}

function assign(result: Partial<Record<Keyword, string>>, name: string, value: string): void {
  if (!isKeyword(name))
    throw new SyntaxError(`Cannot read the connection string: the keyword "${name}" is not understood`);
  result[name] = value;
}

/**
 * Resolves a connection: keywords, service file, environment, defaults, password file.
 * @throws {Error} A service or a number that cannot be had.
 */
export async function resolveConnection(
  written: ConnectionKeywords,
  environment: Environment,
): Promise<ConnectionTarget> {
  const home = environment.HOME || homedir();
  const service = written.service ?? environment.PGSERVICE;
  const fromService = service ? await readService(service, environment, home) : {};
  const value = (name: Keyword): string | undefined =>
    written[name] || fromService[name] || environment[keywords[name]] || undefined;
  const user = value("user") ?? userInfo().username;
  const host = value("hostaddr") ?? value("host") ?? "/var/run/postgresql";
  const port = Number(value("port") ?? 5432);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new Error(`Cannot connect to PostgreSQL: the port "${value("port")}" is no number from 1 to 65535`);
  const sslmode = (value("sslmode") ?? "prefer") as SslMode;
  if (!sslModes.includes(sslmode))
    throw new Error(`Cannot connect to PostgreSQL: sslmode "${sslmode}" is none of ${sslModes.join(", ")}`);
  const database = value("dbname") ?? user;
  const passfile = value("passfile") ?? join(home, ".pgpass");
  const nameForPassword = value("host") ?? host;
  const password = value("password") ?? (await readPassword(passfile, { host: nameForPassword, port, database, user }));
  return {
    host,
    port,
    database,
    user,
    password,
    sslmode,
    sslrootcert: value("sslrootcert"),
    sslcert: value("sslcert"),
    sslkey: value("sslkey"),
    applicationName: value("application_name"),
    options: value("options"),
  };
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

async function readPassword(file: string, question: PasswordQuestion): Promise<string | undefined> {
  const about = await stat(file).catch(() => undefined);
  // libpq ignores a file that others may read, rather than use a password that is no secret any more.
  if (!about?.isFile() || (about.mode & 0o077) !== 0) return undefined;
  return findPassword(await readFile(file, "utf8").catch(() => ""), question);
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
