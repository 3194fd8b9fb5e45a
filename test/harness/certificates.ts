/** A certification authority of a test's own, made by openssl. */
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { giveTo } from "./users.ts";

export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

export interface Authority extends KeyPair {
  /** @param names Its subject alternative names: `DNS:localhost`, `IP:127.0.0.1`. @param owner To whom the key belongs. */
  issue(
    commonName: string,
    options?: { readonly names?: readonly string[]; readonly owner?: string },
  ): Promise<KeyPair>;
}

export async function createAuthority(folder: string, name: string): Promise<Authority> {
  const files = (base: string): KeyPair => ({
    certificate: join(folder, `${base}.crt`),
    key: join(folder, `${base}.key`),
  });
  const own = files(name);
  const newKey = ["-newkey", "rsa:2048", "-nodes", "-days", "2"];
  await Bun.$`openssl req -x509 ${newKey} -subj /CN=${name} -keyout ${own.key} -out ${own.certificate}`.quiet();
  return {
    ...own,
    async issue(commonName, { names = [], owner } = {}) {
      const issued = files(`${name}-${commonName}`);
      const extension = names.length > 0 ? ["-addext", `subjectAltName=${names.join(",")}`] : [];
      const signer = ["-CA", own.certificate, "-CAkey", own.key];
      await Bun.$`openssl req -x509 ${newKey} ${signer} ${extension} -addext basicConstraints=critical,CA:FALSE -subj /CN=${commonName} -keyout ${issued.key} -out ${issued.certificate}`.quiet();
      await chmod(issued.key, 0o600);
      if (owner !== undefined) await giveTo(owner, issued.key);
      return issued;
    },
  };
}
