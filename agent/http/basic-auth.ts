/** Users and passwords of a web config, asked for by HTTP basic authentication. */
import { createHash } from "node:crypto";

/** Right answers that are remembered, so that bcrypt runs once for each user and not for each scrape. */
const maxRemembered = 100;
/** Attempts that may wait for the one that is being checked. */
const maxWaiting = 20;
/** Bcrypt reads no more; Bun would hash a longer password first, which htpasswd and Go do not. */
const maxPasswordBytes = 72;

export type Verdict = "allowed" | "refused" | "busy";

/**
 * Checks one attempt at a time, for each costs a core some 60 ms and more: guessing must not starve the host.
 * What is remembered is a digest of user, hash and password together, so a changed hash is asked anew.
 */
export class BasicAuth {
  readonly #remembered = new Set<string>();
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /**
   * @param header `Authorization`, as the client sent it.
   * @param users User to bcrypt hash, not empty.
   */
  async check(header: string | null, users: ReadonlyMap<string, string>): Promise<Verdict> {
    const credentials = readBasic(header);
    if (!credentials) return "refused";
    const { user, password } = credentials;
    const hash = users.get(user);
    const token = digest([user, hash ?? "", password]);
    if (hash !== undefined && this.#remembered.has(token)) return "allowed";
    if (this.#waiting >= maxWaiting) return "busy";
    // An unknown user costs the same work: the answer's time does not tell who exists.
    const isRight = await this.#verify(password, hash ?? decoy(users));
    if (!isRight || hash === undefined) return "refused";
    this.#remember(token);
    return "allowed";
  }

  #verify(password: Uint8Array, hash: string): Promise<boolean> {
    this.#waiting++;
    const result = this.#last.then(() => verify(password, hash)).finally(() => this.#waiting--);
    this.#last = result;
    return result;
  }

  #remember(token: string): void {
    const [oldest] = this.#remembered;
    if (this.#remembered.size >= maxRemembered && oldest !== undefined) this.#remembered.delete(oldest);
    this.#remembered.add(token);
  }
}

async function verify(password: Uint8Array, hash: string): Promise<boolean> {
  try {
    return await Bun.password.verify(password.subarray(0, maxPasswordBytes), hash);
  } catch {
    // An empty password, which Bun refuses to hash.
    return false;
  }
}

/** A hash that no password has, of the cost of the costliest user. */
function decoy(users: ReadonlyMap<string, string>): string {
  const costs = [...users.values()].map((hash) => Number(hash.slice(4, 6)));
  return `$2b$${String(Math.max(...costs)).padStart(2, "0")}$${".".repeat(53)}`;
}

/** User and password of `Basic dXNlcjpwYXNz`; undefined when it is none. Source: RFC 7617. */
function readBasic(header: string | null): { user: string; password: Uint8Array } | undefined {
  const encoded = /^basic +([A-Za-z0-9+/_-]*={0,2}) *$/i.exec(header ?? "")?.[1];
  if (encoded === undefined) return undefined;
  const bytes = Buffer.from(encoded, "base64");
  const colon = bytes.indexOf(0x3a);
  return colon < 0 ? undefined : { user: bytes.toString("utf8", 0, colon), password: bytes.subarray(colon + 1) };
}

function digest(parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash("sha256");
  // Digests in place of the parts: their lengths are equal, so no two lists run into one text.
  for (const part of parts) hash.update(createHash("sha256").update(part).digest());
  return hash.digest("base64");
}
