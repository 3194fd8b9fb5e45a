/** What an instance says of itself to people. */
import { expect, test } from "bun:test";
import { pluginSource, startHost, type TestHost } from "../../harness/host.ts";
import { waitFor } from "../../harness/wait.ts";

const statusOf = (test: TestHost, name: string) => test.host.instance(name)?.status();
const problemOf = (test: TestHost, name: string) => waitFor("the problem", () => statusOf(test, name)?.problem);

test("facts and a problem come with each collection, a failed one too, without secrets", async () => {
  await using test = await startHost();
  const source = `return {
    calls: 0,
    collect() { if (++this.calls === 2) throw new Error("no answer"); },
    status() {
      return {
        facts: { Calls: this.calls, Streaming: true, Unknown: undefined, Server: "postgres://me:hunter22@db" },
        problem: this.calls > 1 ? "hunter22 was refused" : undefined,
      };
    },
  };`;
  await test.plugin("own.ts", pluginSource("own", source));
  await test.run({ own: { secrets: ["hunter22"], intervalSeconds: 3 } });
  const first = await waitFor("the first collection", () => {
    const status = statusOf(test, "own");
    return status?.lastSuccessAt !== undefined && status;
  });
  expect(first.facts).toEqual({ Calls: "1", Streaming: "true", Server: "postgres://me:[redacted]@db" });
  expect(first.problem).toBeUndefined();
  expect(await problemOf(test, "own")).toBe("[redacted] was refused");
  expect(statusOf(test, "own")).toMatchObject({ state: "failing", facts: { Calls: "2" } });
});

test("publish() brings the status too", async () => {
  await using test = await startHost();
  const source =
    "return { start: () => publish().then(() => new Promise(() => {})), status: () => ({ facts: { A: 1 } }) };";
  await test.plugin("live.ts", pluginSource("live", source));
  await test.run({ live: {} });
  expect(await waitFor("the fact", () => statusOf(test, "live")?.facts.A)).toBe("1");
});

test("nothing of an ended worker is shown", async () => {
  await using test = await startHost();
  const source = `return {
    collect() { setTimeout(() => process.exit(), 200); },
    status: () => ({ facts: { State: "streaming" }, problem: "here" }),
  };`;
  await test.plugin("short.ts", pluginSource("short", source));
  await test.run({ short: {} });
  await problemOf(test, "short");
  await waitFor("the restart", () => statusOf(test, "short")?.state === "restarting");
  expect(statusOf(test, "short")).toMatchObject({ facts: {}, problem: undefined });
});

test.each([
  ["throws", `() => { throw new Error("torn"); }`, "The plugin's status() failed: torn"],
  [
    "gives a promise",
    `async () => { throw new Error("late"); }`,
    "The plugin's status() failed: expected { facts, problem }, found a promise",
  ],
  ["gives nothing", "() => {}", "The plugin's status() failed: expected { facts, problem }, found undefined"],
  [
    "gives facts as a list",
    "() => ({ facts: [1] })",
    "The plugin's status() failed: expected an object of facts, found a list",
  ],
  [
    "gives an error",
    "() => ({ problem: new Error() })",
    "The plugin's status() failed: expected a text as the problem, found an object",
  ],
])("a status() that %s fails no collection, and is the problem", async (_, source, message) => {
  await using test = await startHost();
  await test.plugin("odd.ts", pluginSource("odd", `return { collect() {}, status: ${source} };`));
  await test.run({ odd: {} });
  expect(await problemOf(test, "odd")).toBe(message);
  expect(statusOf(test, "odd")?.state).toBe("running");
});

test("many facts and long texts are cut", async () => {
  await using test = await startHost();
  const source = `const facts = Object.fromEntries(Array.from({ length: 100 }, (_, i) => ["n" + i, "x".repeat(1e6)]));
    return { collect() {}, status: () => ({ facts, problem: "y".repeat(1e6) }) };`;
  await test.plugin("long.ts", pluginSource("long", source));
  await test.run({ long: {} });
  expect(await problemOf(test, "long")).toHaveLength(2_000);
  const facts = Object.values(statusOf(test, "long")?.facts ?? {});
  expect([facts.length, facts[0]?.length]).toEqual([12, 200]);
});

test("a status that is no function fails the setup", async () => {
  await using test = await startHost();
  await test.plugin("bad.ts", pluginSource("bad", "return { collect() {}, status: {} };"));
  await test.run({ bad: {} });
  const error = await waitFor("the failure", () => statusOf(test, "bad")?.lastError?.message);
  expect(error).toMatch("The plugin's status is a object: expected a function");
});
