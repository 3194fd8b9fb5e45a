/** How a plugin's configuration names a storage. */
import { duration, size, z } from "holdfast";

const text = z.string().min(1);
const seconds = (initial: string) =>
  duration()
    .refine((value) => value > 0, "expected a duration above 0")
    .prefault(initial);
const attempts = z.int().min(1).max(100).default(4).describe("How often a request that failed for the moment is made.");

const local = z.strictObject({
  type: z.literal("local"),
  directory: z.string().startsWith("/", "expected an absolute path").describe("The folder; made where it is missing."),
});

const s3 = z
  .strictObject({
    type: z.literal("s3"),
    endpoint: z
      .url({ protocol: /^https?$/, error: 'expected a URL such as "https://s3.example.com"' })
      .optional()
      .describe("Default: that of AWS in the region."),
    region: text.default("us-east-1"),
    bucket: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/, "expected a bucket's name"),
    prefix: z.string().default("").describe("Before all keys; slashes at its ends do not count."),
    path_style: z
      .boolean()
      .default(false)
      .describe("The bucket in the path, not in the host name: most servers beside AWS."),
    access_key_id: text.optional(),
    secret_access_key: text.optional(),
    session_token: text.optional().describe("Of temporary keys."),
    credentials_file: text.optional().describe("Keys in a file as the AWS tools have it; read again when it changes."),
    profile: text.default("default").describe("The section of the file."),
    ca_file: text.optional().describe("Certificates in PEM to trust instead of the system's."),
    insecure_skip_verify: z.boolean().default(false).describe("Accepts any certificate."),
    part_size: size()
      .refine((bytes) => bytes >= 5 * 2 ** 20 && bytes <= 5 * 2 ** 30, "expected a size from 5MiB to 5GiB")
      .prefault("16MiB")
      .describe("What is larger is uploaded in parts; an upload holds two in memory."),
    delete_all_versions: z
      .boolean()
      .default(false)
      .describe("In a versioned bucket, deleting removes old versions and markers too, and so frees space."),
    timeout: seconds("30s").describe("How long the server may be silent."),
    attempts,
  })
  .refine((value) => (value.access_key_id === undefined) === (value.secret_access_key === undefined), {
    message: "expected access_key_id and secret_access_key together",
    path: ["secret_access_key"],
  })
  .refine((value) => value.session_token === undefined || value.access_key_id !== undefined, {
    message: "expected access_key_id and secret_access_key beside it",
    path: ["session_token"],
  });

const sftp = z
  .strictObject({
    type: z.literal("sftp"),
    host: text,
    port: z.int().min(1).max(65_535).default(22),
    user: text,
    directory: text.describe("On the server: absolute, or relative to the user's home. Made where it is missing."),
    private_key_file: text.optional(),
    passphrase: text.optional().describe("Of the private key."),
    password: text.optional(),
    agent: z.union([text, z.boolean()]).optional().describe("The socket of an SSH agent; true: that of SSH_AUTH_SOCK."),
    known_hosts_file: text
      .optional()
      .describe("Default: ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts. A server that it does not name is refused."),
    host_key: text
      .optional()
      .describe('The server\'s key, "ssh-ed25519 AAAA…", or its fingerprint, "SHA256:…", instead of the file.'),
    insecure_ignore_host_key: z.boolean().default(false).describe("Accepts any server, and so anyone in between."),
    timeout: seconds("30s").describe("How long the server may be silent while it owes an answer."),
    keep_alive: seconds("15s").describe("How often an idle server is asked for a sign of life."),
    attempts,
  })
  .refine((value) => value.private_key_file !== undefined || value.password !== undefined || Boolean(value.agent), {
    message: "expected private_key_file, password or agent",
    path: ["private_key_file"],
  });

/** To be embedded in a plugin's configuration. */
export const storageSettings = z.discriminatedUnion("type", [local, s3, sftp]);
export type StorageSettings = z.output<typeof storageSettings>;
/** The same before defaults, as it stands in the YAML. */
export type StorageSettingsInput = z.input<typeof storageSettings>;
