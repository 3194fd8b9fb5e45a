/** The key of an encrypted file, from its password and salt. */
import { argon2 } from "node:crypto";

export const saltBytes = 16;

/**
 * Argon2id (time 1, memory 64 MiB, parallelism 4): about 45 ms on a thread of the runtime's pool. Measured with Bun 1.4.5: timers of the calling
 * thread are late by 1 to 3 ms meanwhile; argon2Sync would stop it for all of it.
 * @returns 32 bytes.
 */
export function deriveKey(password: string, salt: Uint8Array): Promise<Buffer> {
  const parameters = { message: password, nonce: salt, passes: 1, memory: 65_536, parallelism: 4, tagLength: 32 };
  return new Promise((resolve, reject) => {
    argon2("argon2id", parameters, (error, key) => (error ? reject(error) : resolve(Buffer.from(key))));
  });
}
