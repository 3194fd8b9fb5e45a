import { expect, test } from "bun:test";
import { BasicAuth } from "../../../agent/http/basic-auth.ts";

const body = (await Bun.password.hash("scrape", { algorithm: "bcrypt", cost: 5 })).slice(4);
const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;

test.each(["$2a$", "$2b$", "$2y$"])("a hash that begins with %s is understood", async (prefix) => {
  const users = new Map([["prometheus", prefix + body]]);
  const auth = new BasicAuth();
  expect(await auth.check(basic("prometheus:scrape"), users)).toBe("allowed");
  expect(await auth.check(basic("prometheus:scrap"), users)).toBe("refused");
});

test.each([
  null,
  "",
  "Basic",
  "Basic !!!",
  "Bearer c2NyYXBl",
  basic("prometheus"),
  basic(":scrape"),
  basic("prometheus:"),
  basic("Prometheus:scrape"),
  basic("nobody:scrape"),
  basic("__proto__:scrape"),
])("%p does not enter", async (header) => {
  expect(await new BasicAuth().check(header, new Map([["prometheus", `$2b$${body}`]]))).toBe("refused");
});

test("a password may hold colons and letters of any script, and the scheme any case", async () => {
  const password = "a:b:пароль";
  const hash = await Bun.password.hash(password, { algorithm: "bcrypt", cost: 4 });
  const header = basic(`prometheus:${password}`).replace("Basic", "bAsIc");
  expect(await new BasicAuth().check(header, new Map([["prometheus", hash]]))).toBe("allowed");
});

test("a password is read up to 72 bytes, as htpasswd and Go do", async () => {
  const password = "x".repeat(72);
  const hash = await Bun.password.hash(password, { algorithm: "bcrypt", cost: 4 });
  expect(await new BasicAuth().check(basic(`u:${password}more`), new Map([["u", hash]]))).toBe("allowed");
});

test("a right password is remembered, a wrong one and a changed hash are not", async () => {
  const auth = new BasicAuth();
  const slow = await Bun.password.hash("scrape", { algorithm: "bcrypt", cost: 11 });
  const users = new Map([["prometheus", slow]]);
  const timed = async (password: string) => {
    const before = performance.now();
    const verdict = await auth.check(basic(`prometheus:${password}`), users);
    return { verdict, ms: performance.now() - before };
  };
  const first = await timed("scrape");
  expect(first.verdict).toBe("allowed");
  // The fastest of several: other work of this machine may hold up any of them.
  const others = [await timed("scrape"), await timed("scrape"), await timed("scrape"), await timed("scrape")];
  expect(others.map(({ verdict }) => verdict)).toEqual(Array(4).fill("allowed"));
  expect(Math.min(...others.map(({ ms }) => ms))).toBeLessThan(first.ms / 5);
  expect(await timed("wrong")).toMatchObject({ verdict: "refused" });
  users.set("prometheus", await Bun.password.hash("other", { algorithm: "bcrypt", cost: 4 }));
  expect(await timed("scrape")).toMatchObject({ verdict: "refused" });
});

test("an unknown user takes as long as a known one", async () => {
  const auth = new BasicAuth();
  const users = new Map([["prometheus", await Bun.password.hash("scrape", { algorithm: "bcrypt", cost: 11 })]]);
  const msOf = async (header: string) => {
    const before = performance.now();
    await auth.check(header, users);
    return performance.now() - before;
  };
  // The fastest of several: other work of this machine may hold up any of them.
  const [known, unknown]: [number[], number[]] = [[], []];
  for (let round = 0; round < 4; round++) {
    known.push(await msOf(basic("prometheus:wrong")));
    unknown.push(await msOf(basic("nobody:wrong")));
  }
  expect(Math.min(...unknown)).toBeGreaterThan(Math.min(...known) / 3);
});

test("more attempts at once than may wait are sent away", async () => {
  const auth = new BasicAuth();
  const users = new Map([["prometheus", `$2b$${body}`]]);
  const attempts = Array.from({ length: 30 }, (_, n) => auth.check(basic(`prometheus:wrong${n}`), users));
  const verdicts = await Promise.all(attempts);
  expect(verdicts.filter((verdict) => verdict === "busy")).toHaveLength(10);
});
