/** From settings to a storage. Nothing is connected until it is used; no storage's module is loaded but that of the one that is opened. */
import { readFile } from "node:fs/promises";
import { messageOf, StorageError } from "./errors.ts";
import { LocalStorage } from "./local.ts";
import type { Environment } from "./s3/credentials.ts";
import type { StorageSettings } from "./settings.ts";
import type { Storage } from "./storage.ts";

export interface OpenOptions {
  /** Where keys, agent and home folder are looked for that the settings do not name. */
  readonly environment: Environment;
  /** Default: the machine's. */
  readonly now?: () => Date;
}

type Of<Type> = Extract<StorageSettings, { type: Type }>;

/** @throws {StorageError} misconfigured: a file that the settings name cannot be read, or something is missing. */
export async function openStorage(settings: StorageSettings, options: OpenOptions): Promise<Storage> {
  switch (settings.type) {
    case "local":
      return new LocalStorage(settings.directory);
    case "s3":
      return await openS3(settings, options);
    case "sftp":
      return await openSftp(settings, options);
  }
}

async function openS3(settings: Of<"s3">, { environment, now = () => new Date() }: OpenOptions): Promise<Storage> {
  const [{ credentialSource }, { S3Storage }] = await Promise.all([
    import("./s3/credentials.ts"),
    import("./s3/s3.ts"),
  ]);
  const { endpoint, region, bucket, prefix, path_style, ca_file, insecure_skip_verify } = settings;
  return new S3Storage({
    endpoint: new URL(endpoint ?? `https://s3.${region}.amazonaws.com`),
    region,
    bucket,
    prefix: prefix.replaceAll(/^\/+|\/+$/g, ""),
    pathStyle: path_style,
    credentials: credentialSource(settings, environment),
    ...(ca_file === undefined ? {} : { ca: await readCa(ca_file) }),
    skipVerify: insecure_skip_verify,
    partBytes: settings.part_size,
    deleteAllVersions: settings.delete_all_versions,
    timeoutMs: settings.timeout * 1000,
    attempts: settings.attempts,
    now,
  });
}

async function readCa(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new StorageError("misconfigured", `Cannot read ca_file ${path}: ${messageOf(cause)}`, { cause });
  }
}

async function openSftp(settings: Of<"sftp">, { environment }: OpenOptions): Promise<Storage> {
  const { host, port, user, directory, password, passphrase } = settings;
  const agent = settings.agent === true ? environment.SSH_AUTH_SOCK : settings.agent || undefined;
  if (settings.agent === true && !agent) {
    throw new StorageError(
      "misconfigured",
      "Cannot use an SSH agent: SSH_AUTH_SOCK is not set; name the agent's socket",
    );
  }
  const home = environment.HOME;
  const defaults = [...(home ? [`${home}/.ssh/known_hosts`] : []), "/etc/ssh/ssh_known_hosts"];
  const { SftpStorage } = await import("./sftp/sftp.ts");
  return new SftpStorage({
    host,
    port,
    user,
    directory,
    ...(password === undefined ? {} : { password }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(settings.private_key_file === undefined ? {} : { privateKeyFile: settings.private_key_file }),
    ...(agent === undefined ? {} : { agent }),
    hostKey: {
      knownHostsFiles: settings.known_hosts_file === undefined ? defaults : [settings.known_hosts_file],
      ...(settings.host_key === undefined ? {} : { hostKey: settings.host_key }),
      ignore: settings.insecure_ignore_host_key,
    },
    timeoutMs: settings.timeout * 1000,
    keepAliveMs: settings.keep_alive * 1000,
    attempts: settings.attempts,
  });
}
