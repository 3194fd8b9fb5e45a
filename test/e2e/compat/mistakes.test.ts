/** What somebody reads who makes a mistake under an old name: it is told in terms of what they wrote, and ends as it always did. */
import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runOnce } from "../../harness/agent.ts";
import { describeWith } from "../../harness/describe-with.ts";
import { createFolder } from "../../harness/folders.ts";

const pgrwl = `main: { listen_port: 7070, directory: wals }
receiver: { slot: s }
storage:
  name: s3
  s3: { url: "https://s3.example.com", access_key_id: A, secret_access_key: "\${PGRWL_KEY}", bucket: B, region: r }
`;

describeWith(["dist/holdfast"], "a mistake under an old name", () => {
  test.each([
    ["pgrwl start -c pgrwl.yml -m receive", 1, "pgrwl.yml: "],
    ["pgrwl validate -c pgrwl.yml -m receive", 1, "pgrwl.yml: "],
    ["walg-exporter --web.telemetry-path=metrics", 2, "the command line of walg-exporter: "],
  ])("%s: no line of a text that nobody has seen, and the original's status", async (line, status, place) => {
    await using folder = await createFolder("holdfast-mistakes");
    await writeFile(join(folder.path, "pgrwl.yml"), pgrwl);
    const [name = "", ...args] = line.split(" ");
    const ended = await runOnce(["as", name, ...args], { cwd: folder.path, env: {} });
    expect(ended.stderr).toMatch(/Cannot read plugins\./);
    for (const problem of ended.stderr.split("\n").filter((one) => one.includes("Cannot "))) {
      expect(problem).toStartWith(`${place}Cannot `);
    }
    expect(ended.stderr).toContain(
      `${name}: plugins.… are keys of holdfast's configuration, which --print-config prints`,
    );
    expect(ended.status).toBe(status);
  });

  test("all that is wrong with a file is told, a line each", async () => {
    await using folder = await createFolder("holdfast-mistakes");
    await writeFile(join(folder.path, "pgrwl.yml"), "main: {}\nstorage: { name: s3 }\n");
    const ended = await runOnce(["as", "pgrwl", "start", "-c", "pgrwl.yml", "-m", "receive"], {
      cwd: folder.path,
      env: {},
    });
    expect(ended.stderr.split("\n")).toEqual([
      "pgrwl: invalid config in pgrwl.yml:",
      "  - main.listen_port is required",
      "  - main.directory is required",
      "  - receiver.slot is required in receive mode",
      "  - storage.name: Cannot use storage.name s3: storage.s3 is required for s3 storage",
      "",
    ]);
    expect(ended.status).toBe(1);
  });

  test.each(
    [
      ["walg-exporter", "--no\u001b[2Jflag"],
      ["pgrwl", "-c", "\u001b[2J.yml", "-m", "serve"],
      ["barman_exporter", "-\u001b[2J", "--print-config"],
      ["\u001b[2J"],
    ].map((args) => ({ args })),
  )("$args: control characters are spelled out", async ({ args }) => {
    const ended = await runOnce(["as", ...args], { env: {} });
    expect(ended.status).not.toBe(0);
    expect(ended.stderr).toContain("\\u001b[2J");
    expect(ended.stderr).not.toContain("\u001b");
  });
});
