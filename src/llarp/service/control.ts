/**
 * Messages between two services that tell the way back, and that may ask for an answer. LLARP v0 has none, so these are
 * this project's own (docs/llarp.md, "Conversations").
 */

/** `HSD.a` of these messages. */
export const CONTROL_PROTOCOL = 0x6f63n;
/** The payload of a message that only tells the way back. */
export const TELLS = new Uint8Array(0);
/** The payload of a message that asks for an answer. */
export const ASKS = Uint8Array.of(1);
