/** A real PostgreSQL comes back by pgrwl's restore_command from pgrwl's serve mode, both of them this executable under the old name. */
import { expect, test } from "bun:test";
import { readdir, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { agentExecutable } from "../../harness/agent.ts";
import { databaseContent } from "../../harness/database-content.ts";
import { describeWith } from "../../harness/describe-with.ts";
import { createFolder } from "../../harness/folders.ts";
import { freePort } from "../../harness/ports.ts";
import { ServerProcess } from "../../harness/processes.ts";
import { createRestorer, loseServer, recover } from "../../integration/restore/support.ts";

describeWith(["dist/holdfast", "postgresql-15"], "pgrwl's restore_command", () => {
  test.each(["a link", "a copy"])(
    "recovers to the last commit, called through %s",
    async (how) => {
      await using lost = await loseServer(6, 1);
      await using folder = await createFolder("holdfast-pgrwl");
      await using restorer = await createRestorer();
      const port = await freePort();
      await symlink(agentExecutable, join(folder.path, "pgrwl"));
      const config = { main: { listen_port: port, directory: lost.walFolder } };
      await writeFile(join(folder.path, "config.json"), JSON.stringify(config));
      await using server = new ServerProcess({
        command: [join(folder.path, "pgrwl"), "-c", "config.json"],
        user: "root",
        logFile: join(folder.path, "log"),
        cwd: folder.path,
        env: { PGRWL_MODE: "serve" },
      });
      await server.until("its port to be open", async () => (await fetch(`http://127.0.0.1:${port}/healthz`)).ok);

      const pgrwl = join(restorer.folder, "pgrwl");
      if (how === "a link") await symlink("holdfast", pgrwl);
      else await rename(restorer.executable, pgrwl);
      const [backup] = lost.backups;
      if (!backup) throw new Error("There is no base backup");
      await using recovered = await recover(backup, `${pgrwl} restore-command --serve-addr=127.0.0.1:${port} %f %p`);
      expect(await databaseContent(recovered)).toEqual([...lost.content]);
      expect((await readdir(lost.walFolder)).length).toBe(lost.segments + 1);
    },
    240_000,
  );
});
