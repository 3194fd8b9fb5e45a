/** Parameters of a request, as Go's `Request.ParseForm` reads them: query and form body, the body first. */
import { RequestError } from "./answers.ts";
import { durationError, goQuote, parseGoBool, parseGoDuration } from "./go-text.ts";

const mostBodyBytes = 10 << 20;

export class Parameters {
  readonly #values: ReadonlyMap<string, string>;

  private constructor(values: ReadonlyMap<string, string>) {
    this.#values = values;
  }

  /** Of a GET: a pair that cannot be read is as if it were not there. */
  static ofQuery(search: string): Parameters {
    return new Parameters(readPairs(search.replace(/^\?/, ""), () => {}));
  }

  /** Of a POST. @throws {RequestError} The query or the body cannot be read. */
  static async ofPost(request: Request): Promise<Parameters> {
    const refuse = (message: string): never => {
      throw new RequestError(400, message);
    };
    const query = readPairs(new URL(request.url).search.slice(1), refuse);
    const [type = ""] = (request.headers.get("content-type") ?? "").toLowerCase().split(";");
    // A multipart body has no parameters: the original never looks into one.
    if (type.trim() !== "application/x-www-form-urlencoded") return new Parameters(query);
    const body = readPairs(await bodyText(request), refuse);
    return new Parameters(new Map([...query, ...body]));
  }

  /** Empty where it is missing. */
  text(name: string): string {
    return this.#values.get(name) ?? "";
  }

  /** @throws {RequestError} None of the twelve spellings. */
  boolean(name: string): boolean {
    const text = this.text(name);
    if (text === "") return false;
    const value = parseGoBool(text);
    if (value === undefined) {
      throw new RequestError(400, `Parsing ${name}: strconv.ParseBool: parsing ${goQuote(text)}: invalid syntax`);
    }
    return value;
  }

  /** Milliseconds; undefined where it is missing. @throws {RequestError} No duration, or a negative one. */
  duration(name: string): number | undefined {
    const text = this.text(name);
    if (text === "") return undefined;
    const value = parseGoDuration(text);
    if (value === undefined) throw new RequestError(400, `Parsing ${name}: ${durationError(text)}`);
    if (value < 0) throw new RequestError(400, `Parsing ${name}: ${goQuote(text)} is negative, expected 0 or more`);
    return value;
  }

  /** Undefined where it is missing. @throws {RequestError} No whole number from 0 to 100,000. */
  count(name: string): number | undefined {
    const text = this.text(name);
    if (text === "") return undefined;
    const value = Number(text);
    if (!/^\d{1,6}$/.test(text) || value > 100_000) {
      throw new RequestError(400, `Parsing ${name}: ${goQuote(text)} is no whole number from 0 to 100000`);
    }
    return value;
  }
}

/** Source: `url.ParseQuery`. The first value of a repeated parameter counts. */
function readPairs(text: string, refuse: (message: string) => void): Map<string, string> {
  const values = new Map<string, string>();
  for (const pair of text.split("&")) {
    if (pair === "") continue;
    if (pair.includes(";")) {
      refuse("invalid semicolon separator in query");
      continue;
    }
    const equals = pair.indexOf("=");
    const key = unescapeText(equals < 0 ? pair : pair.slice(0, equals), refuse);
    const value = unescapeText(equals < 0 ? "" : pair.slice(equals + 1), refuse);
    if (key !== undefined && value !== undefined && !values.has(key)) values.set(key, value);
  }
  return values;
}

function unescapeText(text: string, refuse: (message: string) => void): string | undefined {
  const wrong = /%(?![0-9a-fA-F]{2})/.exec(text);
  if (wrong) {
    refuse(`invalid URL escape ${goQuote(text.slice(wrong.index, wrong.index + 3))}`);
    return undefined;
  }
  const bytes = text
    .replaceAll("+", " ")
    .replace(/(?:%[0-9a-fA-F]{2})+/g, (escapes) => Buffer.from(escapes.replaceAll("%", ""), "hex").toString("utf8"));
  return bytes;
}

async function bodyText(request: Request): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of request.body ?? []) {
    bytes += part.length;
    if (bytes > mostBodyBytes) throw new RequestError(400, "http: request body too large");
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}
