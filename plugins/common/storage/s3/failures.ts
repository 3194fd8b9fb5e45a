/** What S3's errors mean for us, and what would help. */
import { codeOf, messageOf, StorageError, type StorageErrorKind } from "../errors.ts";
import { textOf } from "./xml.ts";

/** What a request was about, for its messages. */
export interface Subject {
  /** Completes "Cannot …": `read s3://bucket/key`. */
  readonly what: string;
  readonly bucket: string;
  readonly region: string;
  readonly now: Date;
}

interface Meaning {
  readonly kind: StorageErrorKind;
  readonly remedy?: string;
}

const wrongKey = "check access_key_id and secret_access_key, and that they belong to this endpoint";
const newToken = "renew the temporary keys and their session_token";

const meanings: Readonly<Record<string, Meaning | undefined>> = {
  NoSuchKey: { kind: "not-found" },
  NoSuchVersion: { kind: "not-found" },
  PreconditionFailed: { kind: "exists" },
  NoSuchBucket: { kind: "misconfigured", remedy: "make the bucket, or check bucket, endpoint and path_style" },
  InvalidBucketName: { kind: "misconfigured", remedy: "check bucket, and path_style" },
  AccessDenied: {
    kind: "access-denied",
    remedy:
      "allow s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload and s3:ListBucket (without which S3 answers so for absent objects)",
  },
  AllAccessDisabled: { kind: "access-denied" },
  AccountProblem: { kind: "access-denied" },
  InvalidAccessKeyId: { kind: "misconfigured", remedy: wrongKey },
  SignatureDoesNotMatch: { kind: "misconfigured", remedy: wrongKey },
  InvalidToken: { kind: "misconfigured", remedy: newToken },
  ExpiredToken: { kind: "misconfigured", remedy: newToken },
  RequestExpired: { kind: "misconfigured", remedy: "set this machine's clock" },
  RequestTimeTooSkewed: { kind: "misconfigured", remedy: "set this machine's clock" },
  AuthorizationHeaderMalformed: { kind: "misconfigured", remedy: "check region" },
  PermanentRedirect: { kind: "misconfigured", remedy: "check region and endpoint" },
  TemporaryRedirect: { kind: "unavailable" },
  InvalidRequest: { kind: "misconfigured" },
  EntityTooLarge: { kind: "misconfigured", remedy: "choose a smaller part_size" },
  EntityTooSmall: { kind: "misconfigured", remedy: "choose a part_size of at least 5MiB" },
  MethodNotAllowed: { kind: "misconfigured" },
  NotImplemented: { kind: "misconfigured" },
  BadDigest: { kind: "unavailable" },
  XAmzContentSHA256Mismatch: { kind: "unavailable" },
  IncompleteBody: { kind: "unavailable" },
  RequestTimeout: { kind: "unavailable" },
  SlowDown: { kind: "unavailable" },
  InternalError: { kind: "unavailable" },
  ServiceUnavailable: { kind: "unavailable" },
  NoSuchUpload: { kind: "unavailable" },
  OperationAborted: { kind: "unavailable" },
  ConditionalRequestConflict: { kind: "unavailable" },
};

/**
 * The error of an answer that is no success.
 * @param body Its text: S3's XML, nothing (after HEAD), or what some proxy says.
 */
export function answerError(subject: Subject, response: Response, body: string): StorageError {
  const { status, headers } = response;
  const code = textOf(body, "Code");
  const known = code === undefined ? undefined : meanings[code];
  const region = textOf(body, "Region") ?? headers.get("x-amz-bucket-region");
  const found = [code ?? `HTTP status ${status}`, textOf(body, "Message") ?? (code === undefined ? excerpt(body) : "")];
  const { kind, remedy } = known ?? byStatus(status);
  const remedies = [
    region !== null && region !== subject.region && kind !== "not-found"
      ? `the bucket's region is ${region}, the configured one ${subject.region}`
      : "",
    skew(subject, headers, code),
    remedy,
  ];
  const message = [`Cannot ${subject.what}: ${found.filter(Boolean).join(", ")}`, ...remedies]
    .filter(Boolean)
    .join("; ");
  return new StorageError(kind, message);
}

/** A 404 or 403 without S3's own code says nothing of an object: it may come from anything that listens there. */
function byStatus(status: number): Meaning {
  if (status === 403) return { kind: "access-denied", remedy: "check the keys and what they allow" };
  if (status === 401 || status === 407) return { kind: "misconfigured", remedy: "check endpoint and keys" };
  if (status === 412) return { kind: "exists" };
  if (status === 408 || status === 409 || status === 429 || status >= 500) return { kind: "unavailable" };
  return { kind: "misconfigured", remedy: "check endpoint, bucket, region and path_style; is this an S3 server?" };
}

/** S3 refuses signatures that are 15 minutes off. */
function skew({ now }: Subject, headers: Headers, code: string | undefined): string {
  const seconds = skewSeconds(now, headers);
  if (seconds === undefined || (Math.abs(seconds) < 600 && !code?.startsWith("RequestTime"))) return "";
  return `this machine's clock is ${Math.abs(seconds)} s ${seconds > 0 ? "ahead of" : "behind"} the server's`;
}

/** How many seconds our clock is ahead of the server's; undefined where it does not tell its time. */
export function skewSeconds(now: Date, headers: Headers): number | undefined {
  const date = Date.parse(headers.get("date") ?? "");
  return Number.isNaN(date) ? undefined : Math.round((now.getTime() - date) / 1000);
}

const excerpt = (body: string): string => JSON.stringify(body.slice(0, 120)).replace(/^""$/, "");

const certificateCodes = /CERT|SELF_SIGNED|UNABLE_TO|ERR_TLS|HOSTNAME_MISMATCH|ALTNAME/i;

/** The error of a request that got no answer. */
export function connectionError(what: string, host: string, cause: unknown): StorageError {
  const code = String(codeOf(cause) ?? "");
  if (certificateCodes.test(code)) {
    const remedy = "name its certificate authority in ca_file, or set insecure_skip_verify";
    return new StorageError(
      "misconfigured",
      `Cannot ${what}: the certificate of ${host} is not trusted (${code}); ${remedy}`,
      {
        cause,
      },
    );
  }
  return new StorageError("unavailable", `Cannot ${what}: no answer from ${host}: ${messageOf(cause)}`, { cause });
}
