/** A setting that cannot be used: where it was read, and what is allowed. */
import { quotedLine, shownLine } from '../../kit/shown-text.js';

export class LetheanConfigError extends Error {
  override readonly name = 'LetheanConfigError';
  /** The exit code of a program for it. */
  readonly exitCode = 2;
  /**
   * @param place `client.ini:3`, `WLC_HTTP_PORT` or `--http-port`
   * @param found the text there; it is not shown for secrets
   */
  constructor(
    readonly place: string,
    readonly allowed: string,
    found?: string,
  ) {
    const shown = found === undefined ? '' : `found ${quotedLine(found)}; `;
    super(`${shownLine(place)}: ${shown}${allowed}`);
  }
}
