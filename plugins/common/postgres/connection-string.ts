/**
 * Connection strings as libpq reads them. Their texts hold passwords: no message repeats any of it.
 * Source: PostgreSQL documentation, "Connection Strings" and "Parameter Key Words", sections 34.1.1 and 34.1.2.
 */

/** The keywords that are understood, as they stand in a connection string, and the variables that say the same. */
export const keywords = {
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
  sslpassword: undefined,
  sslsni: "PGSSLSNI",
  channel_binding: "PGCHANNELBINDING",
  target_session_attrs: "PGTARGETSESSIONATTRS",
  application_name: "PGAPPNAME",
  connect_timeout: "PGCONNECT_TIMEOUT",
  options: "PGOPTIONS",
} as const;

export type Keyword = keyof typeof keywords;
export type ConnectionKeywords = Readonly<Partial<Record<Keyword, string>>>;

export const isKeyword = (name: string): name is Keyword => Object.hasOwn(keywords, name);

/**
 * The keywords of a connection string: `postgresql://user@host:5432/db?sslmode=require` or `host=db1 dbname=postgres`.
 * Several hosts are separated by commas, and so are their ports.
 * @throws {SyntaxError} It is neither, or holds a keyword that is not understood. The message never repeats the text.
 */
export function parseConnectionString(text: string): ConnectionKeywords {
  return /^postgres(?:ql)?:\/\//.test(text) ? parseUri(text) : parseKeyValues(text);
}

const uriForm = "postgresql://[user[:password]@][host[:port]][,…]/[database][?key=value]";

function parseUri(text: string): ConnectionKeywords {
  const match = /^postgres(?:ql)?:\/\/(?:([^:@/?]*)(?::([^@/?]*))?@)?([^@/?]*)(?:\/([^?]*))?(?:\?(.*))?$/.exec(text);
  const hosts = match?.[3]?.split(",").map((host) => /^(\[[^[\]]*\]|[^:[\]]*)(?::(\d*))?$/.exec(host));
  const [, user, password, , dbname, query] = match ?? [];
  const result: Partial<Record<Keyword, string>> = {};
  try {
    if (!hosts?.every((host) => host !== null)) throw new URIError("No hosts");
    const list = (group: number) => {
      const items = hosts.map((host) => decodeURIComponent(host[group] ?? "").replace(/^\[|\]$/g, ""));
      return items.some((item) => item !== "") ? items.join(",") : "";
    };
    const decode = (part: string | undefined) => decodeURIComponent(part ?? "");
    const written = {
      user: decode(user),
      password: decode(password),
      host: list(1),
      port: list(2),
      dbname: decode(dbname),
    };
    const pairs = query ? query.replace(/&$/, "").split("&") : [];
    const parameters = pairs.map((pair): [string, string] => {
      const equals = pair.indexOf("=");
      if (equals < 0) throw new URIError("No value");
      return [decode(pair.slice(0, equals)), decode(pair.slice(equals + 1))];
    });
    for (const [name, value] of [...Object.entries(written), ...parameters]) {
      // The one spelling of JDBC that libpq takes as well.
      if (name === "ssl" && value === "true") result.sslmode = "require";
      else if (value || !isKeyword(name)) assign(result, name, value);
    }
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    throw new SyntaxError(`Cannot read the connection URI: expected ${uriForm}`);
  }
  return result;
}

function parseKeyValues(text: string): ConnectionKeywords {
  const pair = /\s*([a-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(?!')((?:[^\s\\]|\\.)*))(?=\s|$)/gsy;
  const result: Partial<Record<Keyword, string>> = {};
  while (text.slice(pair.lastIndex).trim() !== "") {
    const at = pair.lastIndex;
    const match = pair.exec(text);
    if (!match?.[1])
      throw new SyntaxError(`Cannot read the connection string at character ${at + 1}: expected keyword=value`);
    assign(result, match[1], (match[2] ?? match[3] ?? "").replace(/\\(.)/gs, "$1"));
  }
  return result;
}

function assign(result: Partial<Record<Keyword, string>>, name: string, value: string): void {
  if (isKeyword(name)) {
    result[name] = value;
    return;
  }
  // Behind a password a word may be the rest of one that ought to have been quoted.
  const named = result.password === undefined ? `the keyword "${name}"` : "a keyword behind the password";
  throw new SyntaxError(`Cannot read the connection string: ${named} is not understood`);
}
