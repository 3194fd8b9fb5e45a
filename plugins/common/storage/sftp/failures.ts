/** What the errors of SSH and SFTP mean for us, and what would help. */
import { codeOf, messageOf, StorageError } from "../errors.ts";

/** Status codes of SFTP version 3. Source: draft-ietf-secsh-filexfer-02, section 7. */
export const status = {
  eof: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  noConnection: 6,
  connectionLost: 7,
  unsupported: 8,
} as const;

export const isStatus = (error: unknown, code: number): boolean => codeOf(error) === code;

/** The error of a request that the server answered with a status. @param what Completes "Cannot …". */
export function requestError(what: string, cause: unknown): StorageError {
  if (cause instanceof StorageError) return cause;
  const message = `Cannot ${what}: ${messageOf(cause)}`;
  switch (codeOf(cause)) {
    case status.noSuchFile:
      return new StorageError("not-found", message, { cause });
    case status.permissionDenied:
      return new StorageError("access-denied", `${message}; give the user the right to read and write the folder`, {
        cause,
      });
    case status.unsupported:
      return new StorageError("misconfigured", message, { cause });
    case status.failure:
      return new StorageError("unavailable", `${message} (the server says no more; a full disk or quota is told so)`, {
        cause,
      });
    default:
      return new StorageError("unavailable", message, { cause });
  }
}

/** The error of a connection that did not come about. @param methods The ways to log in that were tried, for people. */
export function connectError(target: string, user: string, methods: string, cause: unknown): StorageError {
  if (cause instanceof StorageError) return cause;
  const level = typeof cause === "object" && cause !== null && "level" in cause ? String(cause.level) : "";
  const found = messageOf(cause);
  if (level === "client-authentication") {
    const remedy = `check user, ${methods === "" ? "and name a key, a password or an agent" : `${methods}, and the server's authorized_keys`}`;
    return new StorageError(
      "misconfigured",
      `Cannot log in to ${target} as ${JSON.stringify(user)}: the server accepted none of: ${methods || "nothing"}; ${remedy}`,
      { cause },
    );
  }
  if (/no matching|Handshake failed: no/i.test(found)) {
    return new StorageError("misconfigured", `Cannot agree with ${target} on how to talk: ${found}`, { cause });
  }
  if (/privateKey|passphrase|key/i.test(found) && level === "") {
    return new StorageError(
      "misconfigured",
      `Cannot use the private key for ${target}: ${found}; check private_key_file and passphrase`,
      { cause },
    );
  }
  return new StorageError("unavailable", `Cannot connect to ${target}: ${found}`, { cause });
}
