/** How a plugin's configuration names a codec. */
import { z } from "holdfast";

/** To be spread into a plugin's configuration. */
export const codecSettings = z.strictObject({
  compression: z.enum(["none", "gzip", "zstd"]).default("none"),
  compression_level: z
    .int()
    .min(1)
    .max(19)
    .optional()
    .describe("gzip: 1 to 9, default 6; zstd: 1 to 19, default 3. Higher is smaller and slower."),
  encryption_password: z.string().min(1).optional().describe("Encrypts what is stored, with AES-256-GCM."),
});
export type CodecSettings = z.output<typeof codecSettings>;
export type CodecSettingsInput = z.input<typeof codecSettings>;
