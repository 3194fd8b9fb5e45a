import { expect, test } from "bun:test";
import { copyFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { loadWebConfig, WebConfigError } from "../../../agent/http/web-config.ts";
import { selfSigned } from "./certificates.ts";
import { Scene } from "./support.ts";

const tls = "tls_server_config: { cert_file: server.crt, key_file: server.key }\n";

async function problem(file: string): Promise<string> {
  try {
    await loadWebConfig(file);
  } catch (error) {
    if (error instanceof WebConfigError) return error.message.replace(/[^ ]*\//g, "");
    throw error;
  }
  return "";
}

test("config/web.yml is a right web config", async () => {
  await using scene = await Scene.open();
  await copyFile(fileURLToPath(new URL("../../../config/web.yml", import.meta.url)), scene.path("web.yml"));
  await selfSigned(scene.folder, "server");
  const config = await loadWebConfig(scene.path("web.yml"));
  expect(config.tls?.cert).toStartWith("-----BEGIN CERTIFICATE-----");
  expect([...config.users.keys()]).toEqual(["prometheus"]);
  expect(config.files.map((file) => file.slice(scene.folder.length))).toEqual([
    "/web.yml",
    "/server.crt",
    "/server.key",
  ]);
});

test("a certificate, a key or a CA that cannot be used is refused at its place", async () => {
  await using scene = await Scene.open();
  const file = await scene.write("web.yml", tls);
  expect(await problem(file)).toBe("web.yml:1:33: Cannot read server.crt: no such file");
  const server = await selfSigned(scene.folder, "server");
  const other = await selfSigned(scene.folder, "other");
  expect(await problem(file)).toBe("");
  await copyFile(other.key, server.key);
  expect(await problem(file)).toBe("web.yml:1:55: Cannot use the private key: it does not belong to the certificate");
  await copyFile(server.key, server.cert);
  expect(await problem(file)).toBe(
    "web.yml:1:33: Cannot use server.crt: found a private key, expected a certificate in PEM",
  );
  expect(await problem(scene.path("missing.yml"))).toBe("missing.yml: Cannot read the web configuration: no such file");
});

test("a key with a passphrase is refused with what takes it off", async () => {
  await using scene = await Scene.open();
  const { key } = await selfSigned(scene.folder, "server");
  const encrypted = scene.path("encrypted.key");
  const openssl = Bun.spawn(["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:x", "-out", encrypted]);
  expect(await openssl.exited).toBe(0);
  const file = await scene.write("web.yml", tls.replace("server.key", "encrypted.key"));
  expect(await problem(file)).toContain("it has a passphrase, take it off with openssl pkey");
});

test("an open key file and passwords without TLS are warned about", async () => {
  await using scene = await Scene.open();
  const { key } = await selfSigned(scene.folder, "server");
  await Bun.$`chmod 644 ${key}`.quiet();
  const config = await loadWebConfig(await scene.write("web.yml", tls));
  expect(config.warnings).toEqual([
    `everybody on this host can read the private key ${key}, expected chmod 0600 or 0640`,
  ]);
  const hash = await Bun.password.hash("x", { algorithm: "bcrypt", cost: 4 });
  const open = await loadWebConfig(await scene.write("open.yml", `basic_auth_users: { a: "${hash}" }\n`));
  expect(open.warnings).toEqual(["passwords travel unencrypted without tls_server_config"]);
});
