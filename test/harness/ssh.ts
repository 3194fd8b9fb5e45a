/** A real OpenSSH server with SFTP, for one user: this process's own, or as root an unprivileged one. */
import { appendFile, chmod, copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { join } from "node:path";
import { createFolder } from "./folders.ts";
import { freePort } from "./ports.ts";
import { runTool, ServerProcess } from "./processes.ts";
import { giveTo, serverUser } from "./users.ts";

export interface SshServer extends AsyncDisposable {
  readonly host: "127.0.0.1";
  readonly port: number;
  readonly user: string;
  /** Belongs to the user; for what is stored. */
  readonly folder: string;
  /** Knows the server's ed25519 key. */
  readonly knownHostsFile: string;
  /** The server's RSA key as known_hosts has it, without the name. */
  readonly rsaHostKey: string;
  /** Keys that may log in. */
  readonly privateKeyFile: string;
  readonly encryptedKeyFile: string;
  /** Of the encrypted key. */
  readonly passphrase: string;
  /** A key that may not. */
  readonly strangeKeyFile: string;
  stop(): Promise<void>;
  start(): Promise<void>;
  /** The server shows other keys after its next start. */
  changeHostKey(): Promise<void>;
  log(): string;
}

const executable = "/usr/sbin/sshd";

/** @param sftp Options of internal-sftp, such as `-R`. */
export async function startSshServer({ sftp = "" }: { readonly sftp?: string } = {}): Promise<SshServer> {
  const user = serverUser("nobody");
  await using cleanup = new AsyncDisposableStack();
  const folder = cleanup.use(await createFolder("holdfast-ssh", user));
  const own = (name: string) => join(folder.path, name);
  const passphrase = "a passphrase";
  const newKey = (name: string, type: string, phrase = "") =>
    runTool(["ssh-keygen", "-q", "-t", type, "-N", phrase, "-C", name, "-f", own(name)], { user, cwd: folder.path });
  await Promise.all([
    newKey("host_ed25519", "ed25519"),
    newKey("host_rsa", "rsa"),
    newKey("other_host_ed25519", "ed25519"),
    newKey("client", "ed25519"),
    newKey("client_encrypted", "ed25519", passphrase),
    newKey("stranger", "ed25519"),
  ]);
  const publicKey = async (name: string) => (await readFile(own(`${name}.pub`), "utf8")).trim();
  await writeFile(own("authorized_keys"), `${await publicKey("client")}\n${await publicKey("client_encrypted")}\n`);
  await mkdir(own("data"));
  await giveTo(user, own("data"));
  const port = await freePort();
  const configuration = [
    `Port ${port}`,
    "ListenAddress 127.0.0.1",
    `HostKey ${own("host_ed25519")}`,
    `HostKey ${own("host_rsa")}`,
    `AuthorizedKeysFile ${own("authorized_keys")}`,
    `Subsystem sftp internal-sftp ${sftp}`,
    ...["PidFile none", "UsePAM yes", "StrictModes no", "PasswordAuthentication no", "KbdInteractiveAuthentication no"],
    ...["MaxStartups 100", "MaxSessions 100", "LogLevel VERBOSE"],
  ];
  await writeFile(own("sshd_config"), `${configuration.join("\n")}\n`);
  await writeFile(own("known_hosts"), "");
  const [type = "", key = ""] = (await publicKey("host_ed25519")).split(" ");
  await appendFile(own("known_hosts"), `[127.0.0.1]:${port} ${type} ${key}\n`);
  const [rsaType = "", rsaKey = ""] = (await publicKey("host_rsa")).split(" ");
  // Readable for its user alone, as ssh demands; the tests' process may be another.
  for (const name of ["client", "client_encrypted", "stranger"]) await chmod(own(name), 0o600);

  let server: ServerProcess | undefined;
  const start = async () => {
    const command = [executable, "-D", "-e", "-f", own("sshd_config")];
    server = new ServerProcess({ command, user, logFile: own("sshd.log"), cwd: folder.path });
    await server.until("accepting connections", () => connects(port));
  };
  cleanup.defer(() => server?.stop());
  await start();
  const owned = cleanup.move();
  return {
    host: "127.0.0.1",
    port,
    user,
    folder: own("data"),
    knownHostsFile: own("known_hosts"),
    rsaHostKey: `${rsaType} ${rsaKey}`,
    privateKeyFile: own("client"),
    encryptedKeyFile: own("client_encrypted"),
    passphrase,
    strangeKeyFile: own("stranger"),
    start,
    stop: async () => server?.stop(),
    async changeHostKey() {
      await copyFile(own("other_host_ed25519"), own("host_ed25519"));
    },
    log: () => server?.log() ?? "",
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: "127.0.0.1" });
    socket.once("error", () => resolve(false));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}
