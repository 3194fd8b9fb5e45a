/** What holds for those who configure nothing. */
import { expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { settingsSchema } from "../../../agent/config/schema.ts";
import { storageSettings } from "../../../plugins/common/storage/settings.ts";

test("only this machine reaches the agent, and nobody reloads it by HTTP", () => {
  const { listen, enable_reload } = settingsSchema.parse({});
  expect([listen].flat()).toEqual([{ host: "127.0.0.1", port: 9847 }]);
  expect(enable_reload).toBe(false);
});

test("certificates and host keys are checked", () => {
  const s3 = storageSettings.parse({ type: "s3", bucket: "wal" });
  expect(s3).toMatchObject({ insecure_skip_verify: false });
  const sftp = storageSettings.parse({ type: "sftp", host: "a", user: "b", directory: "c", password: "d" });
  expect(sftp).toMatchObject({ insecure_ignore_host_key: false });
});

test.each([
  "LimitCORE=0",
  "UMask=0077",
  "NoNewPrivileges=yes",
  "CapabilityBoundingSet=",
  "PrivateTmp=yes",
  "RuntimeDirectoryMode=0700",
  "StateDirectoryMode=0700",
  "ProtectSystem=strict",
])("the unit has %s", async (line) => {
  const unit = await readFile(new URL("../../../config/systemd/holdfast.service", import.meta.url), "utf8");
  expect(unit.split("\n")).toContain(line);
});
