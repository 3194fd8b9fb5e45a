import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeWith } from "../../harness/describe-with.ts";

const unitFile = new URL("../../../config/systemd/holdfast.service", import.meta.url).pathname;

const analyze = (...args: string[]) => {
  const { stdout, stderr, exitCode } = Bun.spawnSync(["systemd-analyze", ...args]);
  return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
};

describeWith(["systemd-analyze"], "the systemd unit", () => {
  test("is exposed less than 2.0", () => {
    const { stdout, exitCode } = analyze("security", "--offline=true", "--threshold=19", unitFile);
    expect(Number(/Overall exposure level for holdfast.service: ([\d.]+)/.exec(stdout)?.[1])).toBeLessThan(2);
    expect(exitCode).toBe(0);
  });

  test("has no setting that systemd does not know", async () => {
    const folder = await mkdtemp(join(tmpdir(), "holdfast-unit-"));
    try {
      const copy = join(folder, "holdfast.service");
      // The one thing that need not be there yet is the executable.
      await Bun.write(copy, (await Bun.file(unitFile).text()).replaceAll("/usr/local/bin/holdfast ", "/bin/true "));
      expect(analyze("verify", copy)).toEqual({ exitCode: 0, stdout: "", stderr: "" });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

test("the unit lets JavaScript be compiled and says what its exit statuses mean", async () => {
  const unit = await Bun.file(unitFile).text();
  expect(unit).toContain("\nMemoryDenyWriteExecute=no\n");
  expect(unit).toContain("\nRestartPreventExitStatus=2\n");
});
