import { expect, test } from "bun:test";
import { replay, testPlugin } from "holdfast";
import plugin from "./index.ts";

const directory = "/var/spool/wal";
const command = ["ls", "-1A", "--", directory];

test("counts the files with the ending", async () => {
  const run = replay([{ command, file: new URL("recordings/listing.txt", import.meta.url) }]);
  const spool = await testPlugin(plugin, { config: { directory, ending: ".ready" }, run });
  expect(await spool.collect()).toBe(`# HELP spool_files Files that wait in the directory.
# TYPE spool_files gauge
spool_files{directory="/var/spool/wal"} 2
`);
});

test("publishes nothing when the directory cannot be listed", async () => {
  const stderr = "ls: cannot access '/var/spool/wal': No such file or directory\n";
  const run = replay([{ command, exitCode: 2, stderr }]);
  const spool = await testPlugin(plugin, { config: { directory }, run });
  await expect(spool.collect()).rejects.toThrow("No such file or directory");
  expect(await spool.text()).toBe("");
});

test("refuses a misspelt key", async () => {
  await expect(testPlugin(plugin, { config: { direktory: directory } })).rejects.toThrow("direktory");
});
