import { expect, test } from "bun:test";
import { AuthenticationOrder } from "../../../../../plugins/common/postgres/authentication-order.ts";

const request = (kind: number, rest = "") => {
  const message = Buffer.alloc(9);
  message[0] = 0x52;
  message.writeInt32BE(kind, 5);
  return Buffer.concat([message, Buffer.from(rest)]);
};
const [ok, cleartext, gss, md5, proof, end] = [
  request(0),
  request(3),
  request(7),
  request(5, "salt"),
  request(11),
  request(12),
];
const scram = request(10, "SCRAM-SHA-256\0\0");
const scramPlus = request(10, "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0");

const login = (messages: readonly Buffer[], requiresChannelBinding = false) => {
  const order = new AuthenticationOrder(requiresChannelBinding);
  for (const message of messages) {
    const refusal = order.next(message);
    if (refusal !== undefined) return refusal;
  }
  return order.isOver;
};

test.each([
  ["trust, peer or a certificate", [ok]],
  ["a password", [cleartext, ok]],
  ["md5", [md5, ok]],
  ["SCRAM", [scram, proof, end, ok]],
])("%s is a login", (_, messages) => {
  expect(login(messages)).toBe(true);
});

test.each([
  ["an end before the server proved that it knows the password", [scram, proof, ok]],
  ["SCRAM from its middle", [proof]],
  ["SCRAM from its end", [end]],
  ["a request behind the end", [ok, cleartext]],
])("%s is refused", (_, messages) => {
  expect(() => login(messages)).toThrow(SyntaxError);
});

test("what is not supported is told with what is", () => {
  expect(login([gss])).toMatch(/kind 7, which is not supported; use scram-sha-256/);
});

test("channel_binding=require takes nothing less", () => {
  expect(login([scramPlus, proof, end, ok], true)).toBe(true);
  for (const messages of [[ok], [cleartext], [md5], [scram]]) expect(login(messages, true)).toMatch(/channel_binding/);
});
