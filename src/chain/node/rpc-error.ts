/** Errors that a node answers, by their code. */

/** Codes of Bitcoin Core and Knots (src/rpc/protocol.h there). */
export const RPC_CODE = {
  /** Also `Block not available (pruned data)`, and a scan that fails. */
  misc: -1,
  /** A block or a transaction that the node does not have. */
  notFound: -5,
  /** A parameter out of its range; another scan runs. */
  parameter: -8,
  /** It shuts down, in the middle of a call. */
  shuttingDown: -9,
  decode: -22,
  /** A transaction that is refused: a missing coin, or another reason. */
  verify: -25,
  rejected: -26,
  alreadyInChain: -27,
  /** It starts. */
  warmingUp: -28,
  noMethod: -32601,
  internal: -32603,
} as const;

/** The node answered with an error. The message has its own words, cleaned for display. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  constructor(
    readonly method: string,
    readonly code: number,
    /** The words of the node. */
    readonly reason: string,
  ) {
    super(`${method}: ${reason} (${code})`);
  }
}

/** Whether it is an error of the node with this code. */
export function hasCode(error: unknown, code: number): error is RpcError {
  return error instanceof RpcError && error.code === code;
}
