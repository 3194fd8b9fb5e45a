/** Which authentication requests may come in which order. Source: PostgreSQL documentation, "Start-up", section 55.2.1. */
import { readAuthenticationRequest } from "./backend-messages.ts";

/**
 * Watches over a login: what the client cannot do gets a message that says so, and no server may skip the proof that
 * it knows the password, or a step that the caller insists on.
 */
export class AuthenticationOrder {
  readonly #requiresChannelBinding: boolean;
  #step: "none" | "password" | "scram" | "scram-ended" | "over" = "none";

  constructor(requiresChannelBinding: boolean) {
    this.#requiresChannelBinding = requiresChannelBinding;
  }

  /** AuthenticationOk came. */
  get isOver(): boolean {
    return this.#step === "over";
  }

  /**
   * @param message An authentication message of the server.
   * @returns Why it cannot be followed; undefined when it can.
   * @throws {SyntaxError} It may not come now.
   */
  next(message: Buffer): string | undefined {
    const request = readAuthenticationRequest(message);
    if (this.#step === "over") throw new SyntaxError("an authentication request behind the last one");
    switch (request) {
      case 0:
        if (this.#step === "scram") throw new SyntaxError("AuthenticationOk before the end of SCRAM");
        if (this.#requiresChannelBinding && this.#step !== "scram-ended")
          return "the server does not ask for SCRAM, which channel_binding=require needs";
        this.#step = "over";
        return undefined;
      case 3:
      case 5:
        if (this.#requiresChannelBinding)
          return "the server asks for a password without SCRAM, which channel_binding=require needs";
        this.#step = "password";
        return undefined;
      case 10:
        if (this.#requiresChannelBinding && !message.includes("SCRAM-SHA-256-PLUS\0"))
          return "the server does not offer SCRAM-SHA-256-PLUS, which channel_binding=require needs";
        this.#step = "scram";
        return undefined;
      case 11:
      case 12:
        if (this.#step !== "scram") throw new SyntaxError("a step of SCRAM that does not belong here");
        if (request === 12) this.#step = "scram-ended";
        return undefined;
      default:
        return `the server asks for an authentication of kind ${request}, which is not supported; use scram-sha-256, md5, password, cert, peer or trust in pg_hba.conf`;
    }
  }
}
