/**
 * How a connection is encrypted and whom it trusts, decided as libpq does.
 * Source: PostgreSQL documentation, "SSL Support", section 34.19; libpq's fe-secure-openssl.c, `initialize_SSL`.
 */
import { readFile, stat } from "node:fs/promises";
import { isIP } from "node:net";
import { type ConnectionOptions, checkServerIdentity, getCACertificates } from "node:tls";
import type { ConnectionTarget, HostTarget } from "./conninfo.ts";

/** Options for `tls.connect()`; undefined: without encryption. */
export type Encryption = ConnectionOptions | undefined;

/**
 * The ways to connect to a server, in the order to try them: `prefer` with encryption, then without; `allow` the other
 * way round. A Unix socket is never encrypted.
 * @throws {Error} A file that is needed cannot be read or may not be used; the message begins with what was found.
 */
export async function encryptionsToTry(target: ConnectionTarget, host: HostTarget): Promise<readonly Encryption[]> {
  const { sslmode } = target;
  if (sslmode === "disable" || host.host.startsWith("/")) return [undefined];
  const encryption = await encryptionOf(target, host);
  if (sslmode === "allow") return [undefined, encryption];
  return sslmode === "prefer" ? [encryption, undefined] : [encryption];
}

async function encryptionOf(target: ConnectionTarget, { host }: HostTarget): Promise<ConnectionOptions> {
  const { sslmode, sslrootcert, sslcert, sslkey, sslpassword, sslsni } = target;
  const certificate = sslcert === undefined ? undefined : await readPem("client certificate", "sslcert", sslcert);
  if (certificate !== undefined && sslkey === undefined)
    throw new Error(`there is a client certificate "${sslcert}" but no private key; name it with sslkey`);
  const own = {
    cert: certificate,
    key: certificate === undefined ? undefined : await readKey(sslkey ?? ""),
    passphrase: sslpassword,
    // RFC 6066 allows names only.
    servername: sslsni && isIP(host) === 0 ? host : "",
    minVersion: "TLSv1.2",
  } as const;
  const verifies = sslmode === "verify-ca" || sslmode === "verify-full";
  // libpq: with a root certificate at hand, every mode but verify-full works like verify-ca.
  const ca = await rootCertificates(sslrootcert, verifies);
  if (ca === undefined) return { ...own, rejectUnauthorized: false };
  return {
    ...own,
    ca,
    rejectUnauthorized: true,
    checkServerIdentity: (_name, certificate) =>
      sslmode === "verify-full" ? checkServerIdentity(host, certificate) : undefined,
  };
}

async function rootCertificates(sslrootcert: string | undefined, verifies: boolean): Promise<string[] | undefined> {
  if (sslrootcert === "system") return [...getCACertificates("system")];
  if (sslrootcert !== undefined) return [await readPem("root certificate", "sslrootcert", sslrootcert)];
  if (!verifies) return undefined;
  throw new Error(
    "the server's certificate cannot be verified: ~/.postgresql/root.crt does not exist; name a file with sslrootcert, use sslrootcert=system, or sslmode=require to go without verification",
  );
}

async function readPem(what: string, keyword: string, file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : "unknown reason";
    throw new Error(`the ${what} "${file}" cannot be read (${code}); name another with ${keyword}`, { cause });
  }
}

async function readKey(file: string): Promise<string> {
  const text = await readPem("private key", "sslkey", file);
  const { uid, mode } = await stat(file);
  // A key of root's may be readable to its group: one for all services of a machine.
  if ((mode & (uid === 0 ? 0o037 : 0o077)) !== 0)
    throw new Error(`the private key "${file}" may be used by others; take their rights away with chmod 0600`);
  return text;
}
