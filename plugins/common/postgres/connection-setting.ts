/** How the server is reached: libpq's connection string, or its keywords one by one. */
import { z } from "holdfast";
import { type ConnectionKeywords, type Keyword, parseConnectionString } from "./conninfo.ts";

const text = z.string().min(1);
const textOrNumber = z.union([text, z.int()]).transform(String);

/** One for all hosts, or one for each; libpq has its default for one that is left out. */
const isPorts = (written: string) =>
  written
    .split(",")
    .every((port) => /^\s*(?:\d{1,5})?\s*$/.test(port) && Number(port || 1) >= 1 && Number(port) < 65_536);

const keywords = {
  host: text.optional().describe("Host name, the directory of the Unix socket, or a list with commas."),
  hostaddr: text.optional(),
  port: textOrNumber.refine(isPorts, "expected a port from 1 to 65535, or one for each host, with commas").optional(),
  dbname: text.optional(),
  user: text.optional(),
  password: text.optional(),
  passfile: text.optional(),
  service: text.optional().describe("A section of the connection service file."),
  sslmode: z.enum(["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]).optional(),
  sslrootcert: text.optional(),
  sslcert: text.optional(),
  sslkey: text.optional(),
  sslpassword: text.optional().describe("Of the client's private key."),
  sslsni: z.enum(["0", "1"]).optional(),
  channel_binding: z.enum(["disable", "prefer", "require"]).optional(),
  target_session_attrs: z
    .enum(["any", "read-write", "read-only", "primary", "standby", "prefer-standby"])
    .optional()
    .describe("Which of several hosts will do."),
  application_name: text.optional(),
  connect_timeout: textOrNumber
    .refine((written) => Number.isInteger(Number(written)), "expected a whole number of seconds")
    .optional()
    .describe("Seconds for each host, within what the plugin allows for all of them."),
  options: text.optional(),
} satisfies Readonly<Record<Keyword, z.ZodType>>;

const connectionString = text.transform((written, context): ConnectionKeywords => {
  let found: ConnectionKeywords;
  try {
    found = parseConnectionString(written);
  } catch (error) {
    // The parser's messages never repeat the text, which may hold a password.
    context.addIssue({
      code: "custom",
      message: error instanceof Error ? error.message : "expected a connection string",
    });
    return z.NEVER;
  }
  // As libpq has it, an empty value is none.
  const given = Object.fromEntries(Object.entries(found).filter(([, value]) => value !== ""));
  const checked = z.strictObject(keywords).safeParse(given);
  for (const issue of checked.error?.issues ?? []) {
    const expected = issue.code === "invalid_value" ? `expected one of ${issue.values.join(", ")}` : issue.message;
    context.addIssue({ code: "custom", message: `${issue.path.join(".")}: ${expected}` });
  }
  return found;
});

/** Gives keywords. What is left out comes from the environment and the password file, as in libpq. */
export const connectionSetting = z.union([connectionString, z.strictObject(keywords)]);

const secrets: ReadonlySet<string> = new Set(["password", "sslpassword"]);

/** The keywords as they may be shown. */
export function redactConnection(connection: ConnectionKeywords): Record<string, string> {
  return Object.fromEntries(
    Object.entries(connection).map(([name, value]) => [name, secrets.has(name) ? "[REDACTED]" : value]),
  );
}
