/** Why an HTTP page cannot be served. */
import { errorCode } from '../kit/error-text.js';
import { hostAndPort } from '../kit/host-name.js';

export interface PageAddress {
  /** `status page`, as errors and logs name it. */
  readonly page: string;
  /** The fix when the address is not available. */
  readonly remedy: string;
  readonly host: string;
  readonly port: number;
}

/** The page cannot be served at the configured address. `code` is that of the system (`EADDRINUSE`). */
export class HttpAddressError extends Error {
  override readonly name: string = 'HttpAddressError';
  /** The error code of the operating system, such as `EADDRINUSE`. */
  readonly code: string;

  constructor({ page, remedy, host, port }: PageAddress, cause: unknown) {
    const code = errorCode(cause) ?? 'error';
    const reason =
      code === 'EADDRINUSE' ? 'another program listens there' : `it cannot be used (${code})`;
    super(`${page} at ${hostAndPort(host, port)}: ${reason}; ${remedy}`, { cause });
    this.code = code;
  }
}
