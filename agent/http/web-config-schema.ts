/** The keys of exporter-toolkit's web config file; what Bun cannot honour is refused by name. */
import { z } from "zod";
import { nearest } from "../config/suggestions.ts";
import { parseDuration } from "../sdk/index.ts";
import { cipherSuites, curves, type TlsVersion, tls13CipherSuites, tlsVersions } from "./tls-names.ts";

/** More costs seconds of a core for each attempt, and anybody may attempt. */
export const maxBcryptCost = 16;

const text = () => z.string({ error: "expected text" }).min(1, { error: "expected text, not nothing" });
const flag = () => z.boolean({ error: "expected true or false" });
const tlsVersion = () =>
  z.enum(Object.keys(tlsVersions) as [TlsVersion, ...TlsVersion[]], { error: "expected TLS10, TLS11, TLS12 or TLS13" });

/** One of a closed list of names, with a suggestion for a slip. */
function oneOf(names: readonly string[], what: string) {
  return z.string({ error: `expected ${what}` }).superRefine((name, context) => {
    if (names.includes(name)) return;
    const suggestion = nearest(name, names);
    const weak = /^TLS_RSA_|RC4|3DES|CBC_SHA256$/.test(name);
    const remedy =
      suggestion === undefined || weak ? `expected one of ${names.join(", ")}` : `did you mean ${suggestion}?`;
    context.addIssue({
      code: "custom",
      message: weak ? `an insecure ${what}; ${remedy}` : `unknown ${what}; ${remedy}`,
    });
  });
}

const refusedAuthTypes: Readonly<Record<string, string>> = {
  RequireAnyClientCert: "Bun does not tell whether a client showed one",
  RequireClientCert: "Bun does not tell whether a client showed one",
  VerifyClientCertIfGiven: "Bun verifies none unless it requires one",
};
const authTypes = ["NoClientCert", "RequestClientCert", "RequireAndVerifyClientCert"] as const;

const clientAuthType = z.string({ error: `expected ${authTypes.join(", ")}` }).superRefine((type, context) => {
  if (type === "" || authTypes.some((known) => known === type)) return;
  const why = refusedAuthTypes[type];
  const message = why
    ? `holdfast cannot do this (${why}), use RequireAndVerifyClientCert`
    : `expected one of ${authTypes.join(", ")}`;
  context.addIssue({ code: "custom", message });
});

const tlsServerConfig = z
  .strictObject({
    cert: text().optional(),
    cert_file: text().optional(),
    key: text().optional(),
    key_file: text().optional(),
    client_ca: text().optional(),
    client_ca_file: text().optional(),
    client_auth_type: clientAuthType.default("NoClientCert"),
    client_allowed_sans: z
      .unknown()
      .optional()
      .superRefine((value, context) => {
        if (value === undefined) return;
        const message =
          "holdfast cannot do this (Bun shows no client's certificate to a server), leave it out and sign only these clients with the CA in client_ca_file";
        context.addIssue({ code: "custom", message });
      }),
    min_version: tlsVersion().default("TLS12"),
    max_version: tlsVersion().default("TLS13"),
    cipher_suites: z
      .array(oneOf([...Object.keys(cipherSuites), ...tls13CipherSuites], "cipher suite"), {
        error: "expected a list of cipher suites",
      })
      .default([]),
    curve_preferences: z.array(oneOf(Object.keys(curves), "curve"), { error: "expected a list of curves" }).default([]),
    prefer_server_cipher_suites: flag().default(true),
  })
  .superRefine((tls, context) => {
    const refuse = (key: string, message: string) => context.addIssue({ code: "custom", path: [key], message });
    for (const key of ["cert", "key", "client_ca"] as const) {
      if (tls[key] !== undefined && tls[`${key}_file`] !== undefined)
        refuse(key, `expected ${key} or ${key}_file, not both`);
    }
    const hasCert = (tls.cert ?? tls.cert_file) !== undefined;
    const hasKey = (tls.key ?? tls.key_file) !== undefined;
    if (!hasCert) refuse("cert_file", "expected a certificate in cert_file or cert");
    if (!hasKey) refuse("key_file", "expected a private key in key_file or key");
    const hasCa = (tls.client_ca ?? tls.client_ca_file) !== undefined;
    const type = tls.client_auth_type || "NoClientCert";
    if (hasCa && type === "NoClientCert")
      refuse("client_auth_type", "expected RequireAndVerifyClientCert where there is a client CA");
    if (!hasCa && type === "RequireAndVerifyClientCert") {
      refuse("client_ca_file", "expected the CA that signs the clients' certificates");
    }
    if (tlsVersions[tls.min_version] > tlsVersions[tls.max_version]) {
      refuse("max_version", `expected min_version (${tls.min_version}) or later`);
    }
    if (
      tls.cipher_suites.length > 0 &&
      !tls.cipher_suites.some((name) => name in cipherSuites) &&
      tls.max_version !== "TLS13"
    ) {
      refuse("cipher_suites", "expected a suite of TLS 1.2, for max_version allows no later one");
    }
  });

/** Source: exporter-toolkit web/handler.go, `extraHTTPHeaders`; the empty list allows any value. */
const headerValues: Readonly<Record<string, readonly string[]>> = {
  "Content-Security-Policy": [],
  "Strict-Transport-Security": [],
  "X-Content-Type-Options": ["nosniff"],
  "X-Frame-Options": ["deny", "sameorigin"],
  "X-XSS-Protection": [],
};

const headers = z.record(z.string(), z.string({ error: "expected text" })).superRefine((given, context) => {
  for (const [name, value] of Object.entries(given)) {
    const allowed = headerValues[name];
    const refuse = (message: string) => context.addIssue({ code: "custom", path: [name], message });
    if (!allowed) refuse(`this header cannot be set, expected one of ${Object.keys(headerValues).join(", ")}`);
    else if (value !== "" && allowed.length > 0 && !allowed.includes(value)) refuse(`expected ${allowed.join(" or ")}`);
    else if (/[^\t\x20-\x7e\x80-\xff]/.test(value)) refuse("expected one line of printable characters");
  }
});

const bcryptHash = z.string({ error: "expected a bcrypt hash" }).superRefine((hash, context) => {
  const cost = Number(/^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/.exec(hash)?.[1] ?? Number.NaN);
  // The hash itself is never in a message.
  if (Number.isNaN(cost) || cost < 4 || cost > 31) {
    const message = "expected a bcrypt hash that begins with $2y$, $2b$ or $2a$, as `htpasswd -nBC 10 USER` prints it";
    context.addIssue({ code: "custom", message });
  } else if (cost > maxBcryptCost) {
    context.addIssue({ code: "custom", message: `the hash has cost ${cost}, expected ${maxBcryptCost} at most` });
  }
});

const users = z
  .record(z.string(), bcryptHash, { error: "expected users and their bcrypt hashes; without users leave the key out" })
  .superRefine((given, context) => {
    for (const name of Object.keys(given)) {
      if (name === "" || name.includes(":")) {
        context.addIssue({ code: "custom", path: [name], message: "expected a user's name without a colon" });
      }
    }
  });

/** `interval: 0` is no limit, as in exporter-toolkit. */
const rateLimit = z.strictObject({
  interval: z
    .union([z.string(), z.number()], { error: 'expected a duration such as "1s"' })
    .transform((input, context) => {
      const seconds = parseDuration(String(input));
      if (seconds === undefined) context.addIssue({ code: "custom", message: 'expected a duration such as "1s"' });
      return seconds ?? z.NEVER;
    }),
  burst: z.int({ error: "expected a whole number from 1" }).min(1, { error: "expected a whole number from 1" }),
});

export const webConfigSchema = z.strictObject({
  tls_server_config: tlsServerConfig.optional(),
  http_server_config: z.strictObject({ http2: flag().default(false), headers: headers.default({}) }).optional(),
  basic_auth_users: users.default({}),
  rate_limit: rateLimit.optional(),
});

export type WebConfigInput = z.output<typeof webConfigSchema>;
export type TlsServerConfig = NonNullable<WebConfigInput["tls_server_config"]>;

/** The keys that there are, for suggestions; by the path of what holds them. */
export const knownKeys: Readonly<Record<string, readonly string[]>> = {
  "": Object.keys(webConfigSchema.shape),
  tls_server_config: Object.keys(tlsServerConfig.shape),
  http_server_config: ["http2", "headers"],
  rate_limit: Object.keys(rateLimit.shape),
};
