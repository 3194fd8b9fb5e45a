import { expect, test } from "bun:test";
import { copyFile } from "node:fs/promises";
import { openListener } from "../../../agent/http/listeners.ts";
import { WebConfigWatch } from "../../../agent/http/web-config-watch.ts";
import { handshake, selfSigned, signedBy } from "./certificates.ts";
import { Scene, until } from "./support.ts";

const trustAll = { tls: { rejectUnauthorized: false } };

/** A listener on a free port with the given lines under `tls_server_config`. */
async function tlsListener(scene: Scene, lines: string, more = "") {
  await selfSigned(scene.folder, "server");
  const indented = lines.replace(/^(?=.)/gm, "  ");
  const text = `tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n${indented}\n${more}`;
  const watch = await WebConfigWatch.open(await scene.write("web.yml", text));
  scene.onEnd(() => watch.close());
  const listener = openListener({ host: "127.0.0.1", port: 0 }, () => new Response("hello\n"), { webConfig: watch });
  scene.onEnd(() => listener.stop(0));
  return { watch, listener, port: listener.address.port };
}

test("TLS 1.2 and 1.3 are spoken, TLS 1.1 is not", async () => {
  await using scene = await Scene.open();
  const { port, listener } = await tlsListener(scene, "");
  expect(listener.url).toBe(`https://127.0.0.1:${port}`);
  expect((await handshake(port, ["-tls1_2"])).text).toContain("hello");
  expect((await handshake(port, ["-tls1_3"])).text).toContain("hello");
  expect((await handshake(port, ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"])).text).toContain(
    "alert protocol version",
  );
});

test("min_version and max_version hold", async () => {
  await using scene = await Scene.open();
  const { port } = await tlsListener(scene, "min_version: TLS13");
  expect((await handshake(port, ["-tls1_2"])).text).toContain("alert protocol version");
  await using other = await Scene.open();
  const { port: oldPort } = await tlsListener(other, "max_version: TLS12");
  const { text } = await handshake(oldPort);
  expect(text).toContain("New, TLSv1.2");
  expect(text).toContain("hello");
});

test("cipher_suites hold, in the server's order", async () => {
  await using scene = await Scene.open();
  const suites = "[TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]";
  const { port } = await tlsListener(scene, `cipher_suites: ${suites}`);
  const both = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305";
  expect((await handshake(port, ["-tls1_2", "-cipher", both])).text).toContain(
    "Cipher is ECDHE-ECDSA-CHACHA20-POLY1305",
  );
  const refused = await handshake(port, ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"]);
  expect(refused.text).toContain("handshake failure");
});

test("prefer_server_cipher_suites: false leaves the order to the client", async () => {
  await using scene = await Scene.open();
  const suites = "[TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]";
  const { port } = await tlsListener(scene, `cipher_suites: ${suites}\nprefer_server_cipher_suites: false`);
  const both = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305";
  expect((await handshake(port, ["-tls1_2", "-cipher", both])).text).toContain("Cipher is ECDHE-ECDSA-AES128-GCM");
});

test("curve_preferences hold", async () => {
  await using scene = await Scene.open();
  const { port } = await tlsListener(scene, "curve_preferences: [CurveP384]");
  expect((await handshake(port, ["-curves", "X25519:P-384"])).text).toContain("secp384r1");
  expect((await handshake(port, ["-curves", "X25519"])).text).toContain("handshake failure");
});

test("http2: true offers HTTP/2 and still speaks HTTP/1.1", async () => {
  await using scene = await Scene.open();
  const { port } = await tlsListener(scene, "", "http_server_config: { http2: true }\n");
  expect((await handshake(port, ["-alpn", "h2"])).text).toContain("ALPN protocol: h2");
  expect(await (await fetch(`https://127.0.0.1:${port}/`, trustAll)).text()).toBe("hello\n");
});

test("RequireAndVerifyClientCert lets in whom its CA signed, and nobody else reaches a route", async () => {
  await using scene = await Scene.open();
  const ca = await selfSigned(scene.folder, "ca");
  const signed = await signedBy(scene.folder, ca, "prometheus");
  const stranger = await selfSigned(scene.folder, "stranger");
  const { port } = await tlsListener(scene, "client_auth_type: RequireAndVerifyClientCert\nclient_ca_file: ca.crt");
  const as = ({ cert, key }: { cert: string; key: string }, version: string) =>
    handshake(port, [version, "-cert", cert, "-key", key]);
  for (const version of ["-tls1_2", "-tls1_3"]) {
    expect((await as(signed, version)).text).toContain("hello");
    expect((await as(stranger, version)).text).not.toContain("hello");
    expect((await handshake(port, [version])).text).not.toContain("hello");
  }
});

test("RequestClientCert asks for one and takes none", async () => {
  await using scene = await Scene.open();
  const { port } = await tlsListener(scene, "client_auth_type: RequestClientCert");
  const { text } = await handshake(port, ["-tls1_2"]);
  expect(text).toContain("hello");
  expect(text).toContain("Client Certificate Types");
});

test("a changed certificate is served without a restart, and running requests end as they began", async () => {
  await using scene = await Scene.open();
  const renewed = await selfSigned(scene.folder, "renewed");
  await selfSigned(scene.folder, "server");
  const text = "tls_server_config: { cert_file: server.crt, key_file: server.key }\n";
  const watch = await WebConfigWatch.open(await scene.write("web.yml", text));
  scene.onEnd(() => watch.close());
  const started = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const answer = async (request: Request) => {
    if (new URL(request.url).pathname !== "/slow") return new Response("hello\n");
    started.resolve();
    await release.promise;
    return new Response("slow and whole");
  };
  const listener = openListener({ host: "127.0.0.1", port: 0 }, answer, { webConfig: watch });
  scene.onEnd(() => listener.stop(0));
  const { port } = listener.address;
  expect((await handshake(port)).text).toContain("CN = server");
  const slow = fetch(`https://127.0.0.1:${port}/slow`, trustAll);
  await started.promise;

  await copyFile(renewed.cert, scene.path("server.crt"));
  // A look of its own may have met half a file.
  const isSeen = async () => {
    await watch.check();
    return watch.problem?.includes("it does not belong to the certificate") === true;
  };
  await until(isSeen, "the change is seen");
  expect((await handshake(port)).text).toContain("CN = server");

  await copyFile(renewed.key, scene.path("server.key"));
  await until(async () => (await handshake(port)).text.includes("CN = renewed"), "the renewed certificate is served");
  expect(watch.problem).toBeUndefined();
  release.resolve();
  expect(await (await slow).text()).toBe("slow and whole");
  await listener.stop(1000);
}, 120_000);
