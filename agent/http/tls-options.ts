/** `tls_server_config` to what Bun.serve takes; certificates and keys are read and checked here. */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { Problem } from "../config/config.ts";
import { reasonOf } from "../config/read-file.ts";
import { cipherSuites, curves, tlsVersions } from "./tls-names.ts";
import { WebConfigError } from "./web-config-problems.ts";
import type { TlsServerConfig } from "./web-config-schema.ts";

/** `minVersion`, `maxVersion` and `ecdhCurve` are not in Bun's types; all were tried with openssl s_client on Bun 1.4.5. */
export interface TlsOptions extends Bun.TLSOptions {
  readonly cert: string;
  readonly key: string;
  readonly minVersion: number;
  readonly maxVersion: number;
  readonly ecdhCurve?: string;
}

export interface LoadedTls {
  readonly options: TlsOptions;
  /** Absolute paths of what was read. */
  readonly files: readonly string[];
  readonly warnings: readonly string[];
}

/** SSL_OP_CIPHER_SERVER_PREFERENCE of BoringSSL; Bun has no name for it in Bun.serve. */
const serverCipherPreference = 0x0040_0000;

type ProblemAt = (path: readonly PropertyKey[], message: string) => Problem;

/**
 * @param file The web config file: relative paths start at its folder.
 * @throws {WebConfigError} A file that cannot be read, no certificate in it, a key that belongs to another.
 */
export async function loadTls(config: TlsServerConfig, file: string, problemAt: ProblemAt): Promise<LoadedTls> {
  const reader = new PemReader(config, dirname(file), problemAt);
  const cert = await reader.read("cert");
  const key = await reader.read("key");
  const ca =
    config.client_ca === undefined && config.client_ca_file === undefined ? undefined : await reader.read("client_ca");
  const certificate = reader.certificate("cert", cert);
  if (ca !== undefined) reader.certificate("client_ca", ca);
  if (!certificate.checkPrivateKey(reader.privateKey(key))) {
    throw reader.error("key", "Cannot use the private key: it does not belong to the certificate");
  }
  const options: TlsOptions = { cert, key, ...protocol(config), ...clientAuth(config, ca) };
  tryOptions(options, (message) => reader.error("cert", message));
  const warnings = [...expiry(certificate, Date.now()), ...(await openKeyFile(reader.path("key")))];
  if (config.min_version === "TLS10" || config.min_version === "TLS11") {
    warnings.push(`min_version ${config.min_version} allows protocols that are broken, TLS12 is safer`);
  }
  const files = (["cert", "key", "client_ca"] as const)
    .map((name) => reader.path(name))
    .filter((path) => path !== undefined);
  return { options, files, warnings };
}

type Pem = "cert" | "key" | "client_ca";

class PemReader {
  readonly #config: TlsServerConfig;
  readonly #folder: string;
  readonly #problemAt: ProblemAt;

  constructor(config: TlsServerConfig, folder: string, problemAt: ProblemAt) {
    this.#config = config;
    this.#folder = folder;
    this.#problemAt = problemAt;
  }

  /** Undefined where the text itself stands in the web config. */
  path(name: Pem): string | undefined {
    const path = this.#config[`${name}_file`];
    return path === undefined ? undefined : resolve(this.#folder, path);
  }

  async read(name: Pem): Promise<string> {
    const path = this.path(name);
    if (path === undefined) return this.#config[name] ?? "";
    try {
      return await Bun.file(path).text();
    } catch (cause) {
      const reason = reasonOf(cause);
      const remedy =
        reason === "permission denied" ? ", let the user that runs holdfast read it (chown, chmod 0640)" : "";
      throw this.error(name, `Cannot read ${path}: ${reason}${remedy}`);
    }
  }

  certificate(name: Pem, pem: string): X509Certificate {
    try {
      return new X509Certificate(pem);
    } catch {
      const found = pem.includes("PRIVATE KEY") ? "found a private key" : "found none";
      throw this.error(name, `Cannot use ${this.#called(name)}: ${found}, expected a certificate in PEM`);
    }
  }

  privateKey(pem: string): KeyObject {
    try {
      return createPrivateKey(pem);
    } catch {
      const isEncrypted = pem.includes("ENCRYPTED");
      const why = isEncrypted
        ? "it has a passphrase, take it off with openssl pkey"
        : pem.includes("BEGIN CERTIFICATE") && !pem.includes("PRIVATE KEY")
          ? "found a certificate, expected a private key in PEM"
          : "expected a private key in PEM";
      throw this.error("key", `Cannot use ${this.#called("key")}: ${why}`);
    }
  }

  error(name: Pem, message: string): WebConfigError {
    const key = this.path(name) === undefined ? name : `${name}_file`;
    return new WebConfigError([this.#problemAt(["tls_server_config", key], message)]);
  }

  #called(name: Pem): string {
    return this.path(name) ?? `tls_server_config.${name}`;
  }
}

function protocol(config: TlsServerConfig): Pick<TlsOptions, "minVersion" | "maxVersion"> & Partial<TlsOptions> {
  const suites = config.cipher_suites.map((name) => cipherSuites[name]).filter((name) => name !== undefined);
  // Only suites of TLS 1.3 were named: then nothing before it may be spoken.
  const only13 = config.cipher_suites.length > 0 && suites.length === 0;
  return {
    minVersion: only13 ? tlsVersions.TLS13 : tlsVersions[config.min_version],
    maxVersion: tlsVersions[config.max_version],
    ...(suites.length > 0 ? { ciphers: suites.join(":") } : {}),
    ...(suites.length > 0 && config.prefer_server_cipher_suites ? { secureOptions: serverCipherPreference } : {}),
    ...(config.curve_preferences.length > 0
      ? { ecdhCurve: config.curve_preferences.map((name) => curves[name] ?? name).join(":") }
      : {}),
  };
}

function clientAuth({ client_auth_type: type }: TlsServerConfig, ca: string | undefined): Partial<TlsOptions> {
  if (type === "RequireAndVerifyClientCert") return { ca, requestCert: true, rejectUnauthorized: true };
  if (type === "RequestClientCert")
    return { ...(ca === undefined ? {} : { ca }), requestCert: true, rejectUnauthorized: false };
  return {};
}

/** Lets Bun try what it will be given: a server that nobody knows of, closed before it accepts. */
function tryOptions(options: TlsOptions, error: (message: string) => WebConfigError): void {
  try {
    Bun.serve({ hostname: "127.0.0.1", port: 0, tls: options, fetch: () => new Response() }).stop(true);
  } catch (cause) {
    throw error(`Cannot use tls_server_config: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

function expiry(certificate: X509Certificate, now: number): string[] {
  if (Date.parse(certificate.validTo) < now) return [`the certificate expired on ${certificate.validTo}`];
  if (Date.parse(certificate.validFrom) > now) return [`the certificate is not valid before ${certificate.validFrom}`];
  return [];
}

async function openKeyFile(path: string | undefined): Promise<string[]> {
  if (path === undefined) return [];
  const { mode } = await stat(path);
  return (mode & 0o004) === 0
    ? []
    : [`everybody on this host can read the private key ${path}, expected chmod 0600 or 0640`];
}
