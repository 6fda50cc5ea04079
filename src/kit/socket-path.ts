/** Unix sockets in configuration values. Pure. */

/** Longest path of a socket that the operating system accepts, in bytes. */
export const MAX_SOCKET_PATH_BYTES = 107;

/**
 * The path after `unix:`, with exactly one slash in front: `unix:/run/tor/control` and
 * `unix:///run/tor/control` are the same socket. Undefined for any other text. The caller checks
 * whether the path can be used.
 */
export function unixSocketPath(text: string): string | undefined {
  const [, path] = /^unix:(.*)$/is.exec(text) ?? [];
  return path?.replace(/^\/+/, '/');
}
