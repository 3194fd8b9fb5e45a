/** Where the keys come from: the configuration, a file as the AWS tools have it, or the environment. */
import { readFile, stat } from "node:fs/promises";
import { messageOf, StorageError } from "../errors.ts";
import type { Credentials } from "./signature.ts";

export interface CredentialSettings {
  readonly access_key_id?: string | undefined;
  readonly secret_access_key?: string | undefined;
  readonly session_token?: string | undefined;
  readonly credentials_file?: string | undefined;
  readonly profile: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Asked before each request, so that keys which are renewed in a file count at once. @throws {StorageError} misconfigured */
export type CredentialSource = () => Promise<Credentials>;

/** The configuration's keys, else those of its file, else the environment's, else those of the file that the environment names. */
export function credentialSource(settings: CredentialSettings, environment: Environment): CredentialSource {
  const { access_key_id, secret_access_key, session_token, credentials_file, profile } = settings;
  if (access_key_id !== undefined && secret_access_key !== undefined) {
    return fixed(access_key_id, secret_access_key, session_token);
  }
  if (credentials_file !== undefined) return fromFile(credentials_file, profile);
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_SHARED_CREDENTIALS_FILE, HOME } =
    environment;
  if (AWS_ACCESS_KEY_ID && AWS_SECRET_ACCESS_KEY) {
    return fixed(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN || undefined);
  }
  const file = AWS_SHARED_CREDENTIALS_FILE || (HOME ? `${HOME}/.aws/credentials` : undefined);
  if (file !== undefined) return fromFile(file, profile);
  return () => Promise.reject(new StorageError("misconfigured", `Cannot find S3 keys: ${remedy}`));
}

const remedy =
  "set access_key_id and secret_access_key, or credentials_file, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment";

function fixed(accessKeyId: string, secretAccessKey: string, sessionToken: string | undefined): CredentialSource {
  const credentials = { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
  return () => Promise.resolve(credentials);
}

function fromFile(path: string, profile: string): CredentialSource {
  let last: { readonly version: string; readonly credentials: Credentials } | undefined;
  return async () => {
    try {
      const { mtimeMs, ino, size } = await stat(path);
      const version = `${mtimeMs} ${ino} ${size}`;
      if (last?.version !== version)
        last = { version, credentials: parseCredentials(await readFile(path, "utf8"), profile) };
      return last.credentials;
    } catch (cause) {
      throw new StorageError("misconfigured", `Cannot read S3 keys from ${path}: ${messageOf(cause)}; ${remedy}`, {
        cause,
      });
    }
  };
}

/**
 * The keys of one profile in a file such as `~/.aws/credentials`.
 * @throws {Error} The profile or one of its keys is missing; the message quotes nothing of the file.
 */
export function parseCredentials(text: string, profile: string): Credentials {
  let section: string | undefined;
  const values = new Map<string, string>();
  let isThere = false;
  for (const line of text.split(/\r?\n/)) {
    const header = /^\s*\[\s*(?:profile\s+)?([^\]]+?)\s*\]/.exec(line);
    if (header) {
      section = header[1];
      isThere ||= section === profile;
      continue;
    }
    const [, key, value] = /^\s*(\w+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (section === profile && key !== undefined && value) values.set(key.toLowerCase(), value);
  }
  if (!isThere) throw new Error(`there is no profile ${JSON.stringify(profile)}`);
  const accessKeyId = values.get("aws_access_key_id");
  const secretAccessKey = values.get("aws_secret_access_key");
  const sessionToken = values.get("aws_session_token");
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    const missing = accessKeyId === undefined ? "aws_access_key_id" : "aws_secret_access_key";
    throw new Error(`the profile ${JSON.stringify(profile)} has no ${missing}`);
  }
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
}
