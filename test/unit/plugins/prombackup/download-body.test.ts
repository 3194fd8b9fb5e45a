import { expect, test } from "bun:test";
import { downloadBody } from "../../../../plugins/prombackup/download-body.ts";

test("a body that nobody ever reads is given up, and its archive let go", async () => {
  const ended = Promise.withResolvers<string>();
  let isLetGo = false;
  async function* archive() {
    try {
      yield new Uint8Array(10);
    } finally {
      isLetGo = true;
    }
  }
  const started = archive();
  await started.next();
  const body = downloadBody(
    started,
    { succeeded: () => {}, failed: () => {}, aborted: ended.resolve, sent: () => {} },
    { problems: [], stallMs: 20 },
  );
  expect(await ended.promise).toBe("the client took nothing for 0.02 s");
  await Bun.sleep(0);
  expect(isLetGo).toBe(true);
  await expect(body.getReader().read()).rejects.toThrow("the client took nothing");
});

test("all bytes are told of before the success is", async () => {
  const told: string[] = [];
  const sizes: number[] = [];
  async function* archive() {
    yield new Uint8Array(10);
    yield new Uint8Array(20);
  }
  const end = { failed: () => {}, aborted: () => {}, sent: (bytes: number) => void sizes.push(bytes) };
  const succeeded = () => void told.push(`success after ${sizes.reduce((a, b) => a + b)} bytes`);
  const body = downloadBody(archive(), { ...end, succeeded }, { problems: [], stallMs: 5000 });
  expect((await new Response(body).bytes()).length).toBe(30);
  expect(told).toEqual(["success after 30 bytes"]);
});
