/** Whether a server is the one that it should be. */
import { readFile } from "node:fs/promises";
import type { ServerHostKeyAlgorithm } from "ssh2";
import { codeOf, messageOf, StorageError } from "../errors.ts";
import {
  entriesFor,
  fingerprint,
  type KnownHost,
  knownName,
  parseKnownHosts,
  typeOfKey,
  verdictOn,
} from "./known-hosts.ts";

export interface HostKeySettings {
  readonly host: string;
  readonly port: number;
  /** Files as OpenSSH has them; those that do not exist count as empty. */
  readonly knownHostsFiles: readonly string[];
  /** The key itself (`ssh-ed25519 AAAA…`) or its fingerprint (`SHA256:…`), instead of the files. */
  readonly hostKey?: string;
  /** Accept any server, and so anyone in between. */
  readonly ignore: boolean;
}

export interface HostKeyCheck {
  /** To be offered to the server: first those of the keys that we know, for a server has several keys and shows one. */
  readonly algorithms: ServerHostKeyAlgorithm[];
  /** undefined: the server is the right one. */
  readonly verify: (key: Buffer) => StorageError | undefined;
}

const ours: readonly ServerHostKeyAlgorithm[] = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "rsa-sha2-512",
  "rsa-sha2-256",
];

/** @throws {StorageError} misconfigured: a file cannot be read, or none of them knows the server. */
export async function hostKeyCheck(settings: HostKeySettings): Promise<HostKeyCheck> {
  const { host, port, hostKey, ignore, knownHostsFiles } = settings;
  if (ignore) return { algorithms: [...ours], verify: () => undefined };
  const name = knownName(host, port);
  if (hostKey !== undefined) return pinned(hostKey, name);
  const texts = await Promise.all(knownHostsFiles.map(readKnownHosts));
  const entries = entriesFor(texts.flatMap(parseKnownHosts), name);
  const files = knownHostsFiles.join(" and ");
  if (!entries.some(({ isRevoked }) => !isRevoked)) {
    const remedy = `add it (ssh-keyscan -p ${port} ${host} >> FILE, then compare the fingerprint with the server's own), or set host_key`;
    throw refusal(`${files} has no key of ${name}; ${remedy}`);
  }
  return {
    algorithms: knownFirst(entries),
    verify(key) {
      switch (verdictOn(entries, key)) {
        case "known":
          return undefined;
        case "revoked":
          return refusal(`${name} showed the key ${fingerprint(key)}, which ${files} has as revoked`);
        default:
          return changed(name, key, files);
      }
    },
  };
}

function pinned(hostKey: string, name: string): HostKeyCheck {
  if (hostKey.startsWith("SHA256:")) {
    const wanted = hostKey.replace(/=+$/, "");
    return {
      algorithms: [...ours],
      verify: (key) => (fingerprint(key) === wanted ? undefined : changed(name, key, "host_key")),
    };
  }
  const [entry] = parseKnownHosts(`${name} ${hostKey}`);
  if (entry === undefined || typeOfKey(entry.key) !== entry.keyType) {
    throw refusal('host_key is no public key: expected "ssh-ed25519 AAAA…" or "SHA256:…"');
  }
  return {
    algorithms: knownFirst([entry]),
    verify: (key) => (key.equals(entry.key) ? undefined : changed(name, key, "host_key")),
  };
}

const changed = (name: string, key: Buffer, place: string) =>
  refusal(
    `${name} showed the ${typeOfKey(key)} key ${fingerprint(key)}, which is not the one in ${place}: someone may be in between; if the server's key was changed on purpose, replace it there`,
  );

const refusal = (found: string) => new StorageError("misconfigured", `Cannot trust the SFTP server: ${found}`);

function knownFirst(entries: readonly KnownHost[]): ServerHostKeyAlgorithm[] {
  const known = new Set(entries.map(({ keyType }) => keyType));
  const isKnown = (algorithm: ServerHostKeyAlgorithm) =>
    known.has(algorithm.startsWith("rsa-sha2") ? "ssh-rsa" : algorithm);
  return [...ours.filter(isKnown), ...ours.filter((algorithm) => !isKnown(algorithm))];
}

async function readKnownHosts(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return "";
    throw refusal(`${path} cannot be read: ${messageOf(error)}`);
  }
}
