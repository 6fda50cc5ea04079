/** Unix sockets as configurations write them. Pure. */

/** The operating system's bound on the path of a socket, in bytes. */
export const MAX_SOCKET_PATH_BYTES = 107;

/**
 * What stands behind `unix:`, with one slash in front where several were written: `unix:/run/tor/control`
 * and `unix:///run/tor/control` are the same socket. Undefined for text that names no socket. Whether it
 * is a path that can be used, the caller says.
 */
export function unixSocketPath(text: string): string | undefined {
  const [, path] = /^unix:(.*)$/is.exec(text) ?? [];
  return path?.replace(/^\/+/, '/');
}
