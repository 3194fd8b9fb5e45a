/** OpenSSH's known_hosts files. Source: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT". */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";

export interface KnownHost {
  /** `revoked` keys must never be accepted; those of certificate authorities are left out: certificates are not supported. */
  readonly isRevoked: boolean;
  /** As written: patterns parted by commas, or one hash. */
  readonly hosts: string;
  readonly keyType: string;
  readonly key: Buffer;
}

/** The lines that hold a key, in order; comments and what cannot be read are left out, as OpenSSH does. */
export function parseKnownHosts(text: string): KnownHost[] {
  return text.split("\n").flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const marker = fields[0]?.startsWith("@") ? fields.shift() : undefined;
    const [hosts = "", keyType = "", key = ""] = fields;
    if (hosts === "" || hosts.startsWith("#") || key === "" || (marker !== undefined && marker !== "@revoked"))
      return [];
    return [{ isRevoked: marker === "@revoked", hosts, keyType, key: Buffer.from(key, "base64") }];
  });
}

/** The name that a known_hosts file has for a server. */
export const knownName = (host: string, port: number): string =>
  port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`;

/** The lines that are about a server. @param name Of {@link knownName}. */
export const entriesFor = (known: readonly KnownHost[], name: string): KnownHost[] =>
  known.filter(({ hosts }) => (hosts.startsWith("|") ? matchesHash(hosts, name) : matchesPatterns(hosts, name)));

export type Verdict = "known" | "unknown" | "changed" | "revoked";

/** What a known_hosts file says of the key that a server shows. @param entries Of {@link entriesFor}. */
export function verdictOn(entries: readonly KnownHost[], key: Buffer): Verdict {
  const same = entries.filter((entry) => entry.key.equals(key));
  if (same.some(({ isRevoked }) => isRevoked)) return "revoked";
  if (same.length > 0) return "known";
  return entries.some(({ isRevoked }) => !isRevoked) ? "changed" : "unknown";
}

/** As ssh-keygen -l prints it: `SHA256:` and base64 without padding. */
export const fingerprint = (key: Buffer): string =>
  `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;

/** The type that a public key's bytes begin with; empty where they hold none. */
export function typeOfKey(key: Buffer): string {
  const length = key.length >= 4 ? key.readUInt32BE(0) : 0;
  return key.toString("latin1", 4, 4 + Math.min(length, 64));
}

function matchesHash(hosts: string, name: string): boolean {
  const [, version, salt = "", hash = ""] = hosts.split("|");
  if (version !== "1") return false;
  const wanted = Buffer.from(hash, "base64");
  const found = createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest();
  return wanted.length === found.length && timingSafeEqual(wanted, found);
}

function matchesPatterns(hosts: string, name: string): boolean {
  let isMatch = false;
  for (const pattern of hosts.toLowerCase().split(",")) {
    const isNegated = pattern.startsWith("!");
    if (!glob(isNegated ? pattern.slice(1) : pattern).test(name)) continue;
    if (isNegated) return false;
    isMatch = true;
  }
  return isMatch;
}

function glob(pattern: string): RegExp {
  const source = pattern
    .replaceAll(/[\\^$.|+()[\]{}]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${source}$`, "s");
}
