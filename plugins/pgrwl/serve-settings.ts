/** The `serve:` section: who gets WAL from this instance. */
import { z } from "holdfast";

export const serveSection = z.strictObject({
  enabled: z.boolean().default(true).describe("Whether WAL can be fetched from this instance over HTTP."),
  token: z
    .string()
    .regex(
      /^[A-Za-z0-9._~+/-]{16,}=*$/,
      "expected at least 16 letters, digits and . _ ~ + / -, as a bearer token has them",
    )
    .optional()
    .describe(
      "Whoever fetches WAL must send it as bearer token. Default: what the agent's web config asks for is enough.",
    ),
  partial: z
    .boolean()
    .default(true)
    .describe(
      "Whether the beginning of a segment is given where the segment is nowhere whole. `false`: only while nothing is received.",
    ),
});
export type ServeSettings = z.output<typeof serveSection>;
