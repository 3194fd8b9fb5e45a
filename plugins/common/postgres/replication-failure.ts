/** What became of a connection, in words that say what to do. */
import { describeNotice, kindOfState, type ReplicationErrorKind } from "./replication-error.ts";
import type { Phase, WireEnd } from "./replication-wire.ts";

export interface Failure {
  readonly kind: ReplicationErrorKind;
  readonly found: string;
  readonly sqlState?: string;
  readonly cause?: unknown;
}

const socketProblems: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection was refused; does the server run, and listen there (listen_addresses, port)?",
  ENOENT: "there is no socket; does the server run, and is this its unix_socket_directories?",
  EACCES: "the socket may not be used; run as a user who may, or connect to a host",
  EHOSTUNREACH: "the host cannot be reached",
  ENETUNREACH: "the network cannot be reached",
  ETIMEDOUT: "the host does not answer",
};

const wrongAuthority =
  "name the certificate of the authority that signed the server's with sslrootcert, or use sslmode=require to go without verification";

const certificateProblems: Readonly<Record<string, string>> = {
  ERR_TLS_CERT_ALTNAME_INVALID:
    "connect by a name that stands in the server's certificate, or use sslmode=verify-ca to accept any name",
  HOSTNAME_MISMATCH:
    "connect by a name that stands in the server's certificate, or use sslmode=verify-ca to accept any name",
  CERT_HAS_EXPIRED: "renew the server's certificate",
  CERT_NOT_YET_VALID: "set the clocks of both machines, or wait until the certificate is valid",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: wrongAuthority,
  UNABLE_TO_GET_ISSUER_CERT: wrongAuthority,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: wrongAuthority,
  SELF_SIGNED_CERT_IN_CHAIN: wrongAuthority,
  DEPTH_ZERO_SELF_SIGNED_CERT: wrongAuthority,
  CERT_SIGNATURE_FAILURE: wrongAuthority,
  CERT_UNTRUSTED: wrongAuthority,
};

/** For a wait that was too long. */
export const noAnswer = (timeoutMs: number): string => `no answer within ${Math.round(timeoutMs / 100) / 10} s`;

const codeOf = (error: Error): string => ("code" in error && typeof error.code === "string" ? error.code : "");

/** What an end means that came in this phase. */
export function describeEnd(end: WireEnd, phase: Phase): Failure {
  const reached = phase === "connecting" ? "connect" : "connection_lost";
  switch (end.kind) {
    case "socket": {
      const code = codeOf(end.error);
      const found = phase === "connecting" ? socketProblems[code] : undefined;
      return {
        kind: reached,
        found: found ?? `the connection was lost (${code || end.error.message})`,
        cause: end.error,
      };
    }
    case "encryption": {
      const code = codeOf(end.error);
      const advice = certificateProblems[code];
      return {
        kind: "connect",
        found: advice
          ? `the server's certificate is not accepted (${end.error.message}); ${advice}`
          : `TLS could not be agreed on (${end.error.message || code})`,
        cause: end.error,
      };
    }
    case "unencrypted":
      return {
        kind: "connect",
        found: "the server does not encrypt (ssl = off); switch it on there, or use sslmode=prefer or disable",
      };
    case "refused":
      return {
        kind: kindOfState(end.notice.sqlState),
        found: describeNotice(end.notice),
        sqlState: end.notice.sqlState,
      };
    case "protocol":
      return { kind: "protocol", found: `the answer is not PostgreSQL's protocol: ${end.found}`, cause: end.cause };
    case "authentication":
      return { kind: "authentication", found: end.found };
    case "closed":
      return { kind: reached, found: "the server closed the connection without a word" };
  }
}
