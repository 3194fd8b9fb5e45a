/** Secrets in files that others can read, and text of others on a terminal. */
import { expect, test } from "bun:test";
import { chmod, readFile } from "node:fs/promises";
import { join } from "node:path";
import { runOnce, startAgent } from "../../harness/agent.ts";
import { createFolder } from "../../harness/folders.ts";
import { waitFor } from "../../harness/wait.ts";

const password = "a-password-of-the-database";
const yamlOf = (directory: string) => `plugins:
  wal:
    plugin: pgrwl
    config:
      directory: ${directory}
      slot: x
      postgres: { host: 127.0.0.1, port: 1, user: x, password: "\${file:password}" }
      serve: { token: "\${SECURITY_TEST_TOKEN}" }
`;
const token = "a-token-of-twenty-letters";

test("a secret's file that everybody can read is warned about, and no secret is on a page, in the log or in the process list", async () => {
  await using folder = await createFolder("holdfast-security");
  await using agent = await startAgent(yamlOf(folder.path), {
    files: { password, certificate: "" },
    env: { SECURITY_TEST_TOKEN: token },
    waitReady: true,
  });
  const file = join(agent.folder, "password");
  await waitFor("the warning", () => agent.stderr.join("\n").includes(`file=${file} remedy="chmod 0600"`));
  const pages = ["/", "/metrics", "/api/v1/status", "/wal/status", "/wal/api/v1/redacted-config", "/wal/wal/x"];
  const texts = await Promise.all(pages.map(async (path) => (await agent.fetch(path)).text()));
  const processes = await readFile(`/proc/${agent.pid}/cmdline`, "utf8");
  for (const secret of [password, token])
    expect([...texts, ...agent.stderr, processes].join("\n")).not.toContain(secret);
  const { stdout, stderr } = await runOnce(["check", `--config.file=${agent.configFile}`], {
    env: { SECURITY_TEST_TOKEN: token },
  });
  expect(stdout + stderr).not.toContain(password);
}, 120_000);

test("one that only its owner can read is not", async () => {
  await using folder = await createFolder("holdfast-security");
  await using agent = await startAgent("", { files: { password } });
  await chmod(join(agent.folder, "password"), 0o600);
  await agent.configure(yamlOf(folder.path).replace("${SECURITY_TEST_TOKEN}", token));
  const before = agent.stderr.length;
  agent.signal("SIGHUP");
  await waitFor("the reload", async () => agent.stderr.slice(before).some((line) => line.includes("reloaded")), 60_000);
  expect(agent.stderr.join("\n")).not.toContain("chmod 0600");
}, 120_000);

test("what a server says cannot move the cursor of a terminal", async () => {
  const evil = "\u001b[2J\u001b]0;owned\u0007\u009b31m\u202e";
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    reusePort: false,
    fetch: () =>
      Response.json({
        snapshots: [
          { name: evil, time: evil, size_bytes: 1, exclusive_bytes: 1, blocks: 1, verified: evil, complete: true },
        ],
      }),
  });
  try {
    const { stdout, status } = await runOnce(["snapshot", "list", `--server=http://127.0.0.1:${server.port}`]);
    expect(status).toBe(0);
    expect(stdout).toContain("\\u001b[2J");
    expect(stdout).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
  } finally {
    await server.stop(true);
  }
  const refusing = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    reusePort: false,
    fetch: () => new Response(evil, { status: 403 }),
  });
  try {
    for (const args of [
      ["snapshot", "list", `--server=http://127.0.0.1:${refusing.port}`],
      ["restore-command", `--serve-addr=127.0.0.1:${refusing.port}`, "000000010000000000000003", "/tmp/none/x"],
    ]) {
      const { stderr } = await runOnce(args);
      expect(stderr).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
    }
  } finally {
    await refusing.stop(true);
  }
}, 120_000);
