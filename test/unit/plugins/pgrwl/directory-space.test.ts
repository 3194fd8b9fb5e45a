import { expect, test } from "bun:test";
import { tmpdir } from "node:os";
import { DirectorySpace } from "../../../../plugins/pgrwl/directory-space.ts";

const never = new AbortController().signal;

test("a directory's file system has a size, and not more room than that", async () => {
  const space = await new DirectorySpace(tmpdir()).read(never);
  expect(space?.sizeBytes).toBeGreaterThan(0);
  expect(space?.freeBytes).toBeLessThanOrEqual(space?.sizeBytes ?? 0);
});

test("of a directory that is gone nothing is known", async () => {
  expect(await new DirectorySpace("/nonexistent/wal").read(never)).toBeUndefined();
});

test("a disk that hangs is asked once, holds up nobody beyond the signal, and is heard when it answers", async () => {
  const answers: ((space: { bavail: number; blocks: number; bsize: number }) => void)[] = [];
  const space = new DirectorySpace("/wal", () => new Promise((resolve) => void answers.push(resolve)));
  expect(await space.read(AbortSignal.abort())).toBeUndefined();
  const waiting = space.read(never);
  expect(answers).toHaveLength(1);
  answers[0]?.({ bavail: 2, blocks: 10, bsize: 4096 });
  expect(await waiting).toEqual({ freeBytes: 8192, sizeBytes: 40_960 });
  void space.read(AbortSignal.abort());
  expect(answers).toHaveLength(2);
});
