import { expect, test } from "bun:test";
import { LongReads } from "../../../../plugins/prombackup/long-reads.ts";

/** A reading that ends when it is told to, or fails when nobody waits for it. */
function reading() {
  const end = Promise.withResolvers<Response>();
  let begun = 0;
  let signal: AbortSignal | undefined;
  return {
    end: () => end.resolve(new Response("read")),
    begun: () => begun,
    wasStopped: () => signal?.aborted,
    read: (given: AbortSignal) => {
      begun++;
      signal = given;
      given.addEventListener("abort", () => end.reject(given.reason));
      return end.promise;
    },
  };
}

test("those who want the same share one reading", async () => {
  const reads = new LongReads();
  const one = reading();
  const client = new AbortController().signal;
  const answers = [reads.run("a", client, one.read), reads.run("a", client, one.read)];
  one.end();
  for (const answer of answers) expect(await (await answer).text()).toBe("read");
  expect(one.begun()).toBe(1);
});

test("another one is turned away while one is read, and may come when it has ended", async () => {
  const reads = new LongReads();
  const [one, other] = [reading(), reading()];
  const client = new AbortController().signal;
  const first = reads.run("a", client, one.read);
  const refused = await reads.run("b", client, other.read);
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "5"]);
  one.end();
  await first;
  other.end();
  expect((await reads.run("b", client, other.read)).status).toBe(200);
});

test("it ends with the last client that waits, not with the first, and leaves nothing behind", async () => {
  const reads = new LongReads();
  const one = reading();
  const [first, second] = [new AbortController(), new AbortController()];
  const answers = [reads.run("a", first.signal, one.read), reads.run("a", second.signal, one.read)];
  first.abort();
  expect(one.wasStopped()).toBe(false);
  second.abort();
  expect(one.wasStopped()).toBe(true);
  for (const answer of answers) expect((await answer).status).toBe(503);
  const again = reading();
  again.end();
  expect((await reads.run("b", new AbortController().signal, again.read)).status).toBe(200);
});
