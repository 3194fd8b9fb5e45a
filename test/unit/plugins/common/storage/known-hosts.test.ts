/** Which servers a known_hosts file knows. */
import { expect, test } from "bun:test";
import {
  entriesFor,
  fingerprint,
  knownName,
  parseKnownHosts,
  typeOfKey,
  verdictOn,
} from "../../../../../plugins/common/storage/sftp/known-hosts.ts";

const keyOf = (byte: number) => {
  const type = Buffer.from("ssh-ed25519");
  return Buffer.concat([Buffer.from([0, 0, 0, type.length]), type, Buffer.from([0, 0, 0, 32]), Buffer.alloc(32, byte)]);
};
const [one, other] = [keyOf(1), keyOf(2)];
const line = (hosts: string, key = one) => `${hosts} ssh-ed25519 ${key.toString("base64")} comment`;
const verdict = (file: string, host: string, port = 22, key = one) =>
  verdictOn(entriesFor(parseKnownHosts(file), knownName(host, port)), key);

test.each([
  ["a plain name", line("storage"), "storage", 22, "known"],
  ["another case", line("Storage"), "sTorage", 22, "known"],
  ["one of several", line("a,storage,b"), "storage", 22, "known"],
  ["a pattern", line("*.example.com,10.0.0.?"), "10.0.0.7", 22, "known"],
  ["a pattern that is no regular expression", line("a.b"), "axb", 22, "unknown"],
  ["an exception", line("*.example.com,!bad.example.com"), "bad.example.com", 22, "unknown"],
  ["a port", line("[storage]:2222"), "storage", 2222, "known"],
  ["another port", line("storage"), "storage", 2222, "unknown"],
  ["another key", line("storage", other), "storage", 22, "changed"],
  ["one of two keys", `${line("storage", other)}\n${line("storage")}`, "storage", 22, "known"],
  ["a revoked key", `${line("storage")}\n@revoked ${line("*")}`, "storage", 22, "revoked"],
  ["a certificate authority", `@cert-authority ${line("*")}`, "storage", 22, "unknown"],
  ["a comment", `# ${line("storage")}`, "storage", 22, "unknown"],
  ["nothing", "\n\n", "storage", 22, "unknown"],
])("%s", (_, file, host, port, expected) => {
  expect(verdict(file, host, port)).toBe(expected as ReturnType<typeof verdict>);
});

test("a hashed name", () => {
  const salt = Buffer.from("F1E1KeoE/eEWhi10WpGv4OdiO6Y=", "base64");
  const hash = new Bun.CryptoHasher("sha1", salt).update("[127.0.0.1]:2222").digest("base64");
  const file = line(`|1|${salt.toString("base64")}|${hash}`);
  expect(verdict(file, "127.0.0.1", 2222)).toBe("known");
  expect(verdict(file, "127.0.0.1", 2223)).toBe("unknown");
  expect(verdict(line("|2|x|y"), "127.0.0.1")).toBe("unknown");
});

test("a key's type and fingerprint are told as ssh-keygen does", () => {
  expect(typeOfKey(one)).toBe("ssh-ed25519");
  expect(typeOfKey(Buffer.alloc(0))).toBe("");
  expect(fingerprint(one)).toMatch(/^SHA256:[A-Za-z0-9+/]{43}$/);
});
