/** How a download that goes straight to the client ends, and what is told of it. */
import { expect, test } from "bun:test";
import { ClientGoneError, type DirectClient } from "../../../../agent/sdk/index.ts";
import { sendDirectly } from "../../../../plugins/prombackup/direct-download.ts";
import type { BodyEnd } from "../../../../plugins/prombackup/download-body.ts";

/** A client that takes so many bytes and is gone then, and all that was told. */
function scene(takesBytes: number) {
  const told: string[] = [];
  let taken = "";
  const client: DirectClient = {
    async write(bytes) {
      if (taken.length + bytes.length > takesBytes) throw new ClientGoneError("the client went away");
      taken += Buffer.from(bytes).toString();
    },
    sendFile: () => Promise.reject(new Error("no stretches here")),
  };
  const end: BodyEnd = {
    succeeded: (sha256Hex) => void told.push(`succeeded ${sha256Hex.slice(0, 8)} behind ${taken.length} bytes`),
    failed: (text) => void told.push(`failed: ${text}`),
    aborted: (text) => void told.push(`aborted: ${text}`),
    sent: () => {},
  };
  return { client, end, told, taken: () => taken };
}

async function* pieces(...texts: string[]) {
  for (const text of texts) yield Buffer.from(text);
}

test("success is told when all but a byte is there, before the last", async () => {
  const { client, end, told, taken } = scene(100);
  await sendDirectly(client, pieces("", "abc", "def"), end, { problems: [], knownSha256Hex: undefined });
  expect(taken()).toBe("abcdef");
  expect(told).toEqual(["succeeded bef57ec7 behind 5 bytes"]);
});

test.each([[["abcdef"]], [["abc", "def"]]])("a client that left before the body %j is no success", async (texts) => {
  const { client, end, told } = scene(0);
  const sending = sendDirectly(client, pieces(...texts), end, { problems: [], knownSha256Hex: undefined });
  await expect(sending).rejects.toThrow("the client went away");
  expect(told).toEqual(["aborted: the client went away"]);
});

test("what kept entries out is told, and the last piece is kept back", async () => {
  const { client, end, told, taken } = scene(100);
  const sending = sendDirectly(client, pieces("abc", "d"), end, { problems: ["a link"], knownSha256Hex: undefined });
  await expect(sending).rejects.toThrow("a link");
  expect(told).toEqual(["failed: a link"]);
  expect(taken()).toBe("abc");
});
