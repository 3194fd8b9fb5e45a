import { expect, test } from "bun:test";
import { gather } from "../../../agent/system/gather.ts";
import { waitFor } from "../../harness/wait.ts";

test("calls in a row are one, and a later one is another", async () => {
  let calls = 0;
  const call = gather(() => void calls++);
  for (let i = 0; i < 100; i++) call();
  expect(calls).toBe(0);
  await waitFor("the call", () => calls === 1);
  call();
  await waitFor("the second call", () => calls === 2);
});

test("a row that does not end is not waited for", async () => {
  let calls = 0;
  const call = gather(() => void calls++);
  const again = setInterval(call, 1);
  await waitFor("a call in the middle", () => calls >= 2);
  clearInterval(again);
});
