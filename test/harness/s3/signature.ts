/** Checks AWS Signature Version 4 as a server does, written apart from the signing side. */
import { createHash, createHmac } from "node:crypto";

export interface Account {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly region: string;
}

/** What is wrong with a request: S3's error code; undefined when nothing is. */
export function signatureFlaw(request: Request, body: Uint8Array, account: Account, now: Date): string | undefined {
  const authorization = request.headers.get("authorization") ?? "";
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
      authorization,
    );
  if (match === null) return authorization === "" ? "AccessDenied" : "AuthorizationHeaderMalformed";
  const [, keyId, day = "", region = "", signedHeaders = "", signature] = match;
  if (keyId !== account.accessKeyId) return "InvalidAccessKeyId";
  if (region !== account.region) return "AuthorizationHeaderMalformed";
  if (account.sessionToken !== undefined && request.headers.get("x-amz-security-token") !== account.sessionToken)
    return "InvalidToken";
  const time = request.headers.get("x-amz-date") ?? "";
  const [, y, mo, d, h, mi, s] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(time) ?? [];
  const sent = Date.parse(`${y}-${mo}-${d}T${h}:${mi}:${s}Z`);
  if (!(Math.abs(sent - now.getTime()) <= 15 * 60_000) || !time.startsWith(day)) return "RequestTimeTooSkewed";
  const payload = request.headers.get("x-amz-content-sha256") ?? "";
  if (payload !== "UNSIGNED-PAYLOAD" && payload !== hash(body)) return "XAmzContentSHA256Mismatch";
  const names = signedHeaders.split(";");
  // All of S3's own headers must be signed, and the host.
  const required = [...request.headers.keys()].filter((name) => name.startsWith("x-amz-")).concat("host");
  if (required.some((name) => !names.includes(name))) return "AccessDenied";
  const url = new URL(request.url);
  const query = url.search
    .slice(1)
    .split("&")
    .filter(Boolean)
    .map((pair) => (pair.includes("=") ? pair : `${pair}=`))
    .sort();
  const headers = names.map((name) => `${name}:${(request.headers.get(name) ?? "").trim()}\n`).join("");
  const canonical = `${request.method}\n${url.pathname}\n${query.join("&")}\n${headers}\n${signedHeaders}\n${payload}`;
  const toSign = `AWS4-HMAC-SHA256\n${time}\n${day}/${region}/s3/aws4_request\n${hash(Buffer.from(canonical))}`;
  let key = mac(Buffer.from(`AWS4${account.secretAccessKey}`), day);
  for (const part of [region, "s3", "aws4_request"]) key = mac(key, part);
  return mac(key, toSign).toString("hex") === signature ? undefined : "SignatureDoesNotMatch";
}

const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const mac = (key: Buffer, text: string) => createHmac("sha256", key).update(text).digest();
