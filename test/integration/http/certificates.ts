/** Certificates for tests, made by the openssl command. */
import { join } from "node:path";

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** A certificate for localhost that signs itself, in the folder as `NAME.crt` and `NAME.key`. */
export async function selfSigned(folder: string, name: string, days = 2): Promise<Certificate> {
  const { cert, key } = paths(folder, name);
  const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  await openssl(["req", "-x509", ...newKey, "-keyout", key, "-out", cert, "-days", String(days), ...subject]);
  return { cert, key };
}

/** A client's certificate, signed by a CA that {@link selfSigned} made. */
export async function signedBy(folder: string, ca: Certificate, name: string): Promise<Certificate> {
  const { cert, key } = paths(folder, name);
  const request = join(folder, `${name}.csr`);
  await openssl(["req", ...newKey, "-keyout", key, "-out", request, "-subj", `/CN=${name}`]);
  const signer = ["-CA", ca.cert, "-CAkey", ca.key, "-set_serial", "7", "-days", "2"];
  await openssl(["x509", "-req", "-in", request, "-out", cert, ...signer]);
  return { cert, key };
}

/** What `openssl s_client` prints when it sends a request to a port of 127.0.0.1. */
export async function handshake(port: number, args: readonly string[] = []): Promise<{ exit: number; text: string }> {
  const command = ["openssl", "s_client", "-connect", `127.0.0.1:${port}`, "-ign_eof", ...args];
  const request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  const client = Bun.spawn(command, { stdin: new Blob([request]), stdout: "pipe", stderr: "pipe", timeout: 30_000 });
  const [out, err, exit] = await Promise.all([
    new Response(client.stdout).text(),
    new Response(client.stderr).text(),
    client.exited,
  ]);
  return { exit, text: out + err };
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

function paths(folder: string, name: string): Certificate {
  return { cert: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
}

async function openssl(args: readonly string[]): Promise<void> {
  const command = Bun.spawn(["openssl", ...args], { stdout: "ignore", stderr: "pipe" });
  const errors = await new Response(command.stderr).text();
  if ((await command.exited) !== 0) throw new Error(`openssl ${args.join(" ")}: ${errors}`);
}
