import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseWebConfig, WebConfigError } from "../../../agent/http/web-config-problems.ts";

const hash = `$2y$10$${"a".repeat(53)}`;
const tls = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

function problem(text: string): string {
  try {
    parseWebConfig(text, "web.yml");
  } catch (error) {
    if (error instanceof WebConfigError) return error.message;
    throw error;
  }
  return "";
}

test("what exporter-toolkit takes is taken, with its defaults", () => {
  const { input } = parseWebConfig(`${tls}basic_auth_users:\n  prometheus: ${hash}\n`, "web.yml");
  expect(input.tls_server_config).toMatchObject({
    min_version: "TLS12",
    max_version: "TLS13",
    client_auth_type: "NoClientCert",
    prefer_server_cipher_suites: true,
  });
  expect(input.basic_auth_users).toEqual({ prometheus: hash });
  expect(problem("{}\n")).toBe("");
  expect(
    problem(
      "rate_limit: { interval: 100ms, burst: 20 }\nhttp_server_config: { http2: true, headers: { X-Frame-Options: deny } }",
    ),
  ).toBe("");
});

test.each([
  ["", "web.yml:1:1: Cannot read the web configuration: the file is empty, expected {} for no TLS and no users"],
  ["[]", "web.yml:1:1: Cannot read the web configuration: expected keys and values"],
  [
    "basic_auth_user: {}",
    'web.yml:1:1: Cannot read the web configuration: unknown key "basic_auth_user", did you mean "basic_auth_users"?',
  ],
  [
    `${tls}  min_versoin: TLS12\n`,
    'web.yml:4:3: Cannot read tls_server_config: unknown key "min_versoin", did you mean "min_version"?',
  ],
  [
    "basic_auth_users:\n",
    "web.yml:1:18: Cannot read basic_auth_users: expected users and their bcrypt hashes; without users leave the key out",
  ],
  [
    "basic_auth_users:\n  a: secret\n",
    "web.yml:2:6: Cannot read basic_auth_users.a: expected a bcrypt hash that begins with $2y$, $2b$ or $2a$, as `htpasswd -nBC 10 USER` prints it",
  ],
  [
    `basic_auth_users:\n  a: ${hash.replace("10", "18")}\n`,
    "web.yml:2:6: Cannot read basic_auth_users.a: the hash has cost 18, expected 16 at most",
  ],
  [
    `basic_auth_users:\n  "a:b": ${hash}\n`,
    "web.yml:2:10: Cannot read basic_auth_users.a:b: expected a user's name without a colon",
  ],
  [
    "tls_server_config: { key_file: a }",
    "web.yml:1:20: Cannot read tls_server_config.cert_file: expected a certificate in cert_file or cert",
  ],
  [`${tls}  cert: x\n`, "web.yml:4:9: Cannot read tls_server_config.cert: expected cert or cert_file, not both"],
  [
    `${tls}  min_version: TLS14\n`,
    "web.yml:4:16: Cannot read tls_server_config.min_version: expected TLS10, TLS11, TLS12 or TLS13",
  ],
  [
    `${tls}  min_version: TLS13\n  max_version: TLS12\n`,
    "web.yml:5:16: Cannot read tls_server_config.max_version: expected min_version (TLS13) or later",
  ],
  [
    `${tls}  cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]\n`,
    "web.yml:4:19: Cannot read tls_server_config.cipher_suites.0: an insecure cipher suite; expected one of ",
  ],
  [
    `${tls}  curve_preferences: [P384]\n`,
    "web.yml:4:23: Cannot read tls_server_config.curve_preferences.0: unknown curve; ",
  ],
  [
    `${tls}  client_auth_type: RequireAndVerifyClientCert\n`,
    "web.yml:1:1: Cannot read tls_server_config.client_ca_file: expected the CA that signs the clients' certificates",
  ],
  [
    `${tls}  client_ca_file: ca.crt\n`,
    "web.yml:1:1: Cannot read tls_server_config.client_auth_type: expected RequireAndVerifyClientCert where there is a client CA",
  ],
  [
    "http_server_config: { headers: { Server: x } }",
    "web.yml:1:42: Cannot read http_server_config.headers.Server: this header cannot be set, expected one of ",
  ],
  [
    "http_server_config: { headers: { X-Frame-Options: maybe } }",
    "web.yml:1:51: Cannot read http_server_config.headers.X-Frame-Options: expected deny or sameorigin",
  ],
  ["rate_limit: { interval: 1s }", "web.yml:1:13: Cannot read rate_limit.burst: expected a whole number from 1"],
  ["a: 1\na: 2\n", "web.yml:2:1: Cannot read the YAML: Map keys must be unique"],
  ["a: [", "web.yml:1:5: Cannot read the YAML: "],
])("%p is refused with its place", (text, message) => {
  expect(problem(text)).toStartWith(message);
});

test.each(["RequireAnyClientCert", "RequireClientCert", "VerifyClientCertIfGiven"])(
  "client_auth_type %s is refused by name, with what to do",
  (type) => {
    expect(problem(`${tls}  client_ca_file: ca.crt\n  client_auth_type: ${type}\n`)).toMatch(
      /^web\.yml:5:21: .*holdfast cannot do this \(.*\), use RequireAndVerifyClientCert$/,
    );
  },
);

test("client_allowed_sans is refused by name, with what to do", () => {
  expect(problem(`${tls}  client_allowed_sans: [a.example]\n`)).toStartWith(
    "web.yml:4:24: Cannot read tls_server_config.client_allowed_sans: holdfast cannot do this (",
  );
});

test("all problems come at once", () => {
  expect(problem("rate_limt: {}\nbasic_auth_users: { a: b, c: d }\n").split("\n")).toHaveLength(3);
});

test("a hash that was mistyped is not in the message", () => {
  expect(problem("basic_auth_users:\n  a: my-secret-password\n")).not.toContain("my-secret");
});

test("no text makes parseWebConfig() fail otherwise", () => {
  const yaml = fc.string({
    unit: fc.constantFrom(..."ab:{}[]\n -&*!|>'\"#%@`,?$<0~\t", "tls_server_config", "basic_auth_users"),
  });
  fc.assert(
    fc.property(yaml, (text) => typeof problem(text) === "string"),
    { numRuns: 500 },
  );
});
