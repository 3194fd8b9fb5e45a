/**
 * The way from one Prometheus to another with more than a gigabyte of blocks, in every format: the end-to-end test, larger.
 * Takes minutes, and three gigabytes in the temporary folder.
 */
const child = Bun.spawn(
  [process.execPath, "test", "test/e2e/prombackup.test.ts", "--test-name-pattern", "from one Prometheus"],
  { env: { BLOCK_MEGABYTES: "1100", ...process.env }, stdin: "ignore", stdout: "inherit", stderr: "inherit" },
);
process.exitCode = await child.exited;

export {};
