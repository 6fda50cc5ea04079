/** Longest MOTD sent, in characters: it must fit one line with any characters. */
const MAX_MOTD_LENGTH = 4_096;

/**
 * The three-line text of deployed directories (docs/protocol.md, section 3.5). `text` may be empty
 * or have several lines; control characters other than the line feed become blanks.
 */
export function directoryMotd(location: string, version: string, text: string): string {
  const clean = text.replace(/\r\n?/g, '\n').replace(/[^\n\P{Cc}]/gu, ' ');
  return boundedMotd(
    `DIRECTORY NODE: ${location}\nJOINMARKET VERSION: onionmc/${version}\n${clean}`,
  );
}

/** Cuts a text so that the line with it stays far below the bound, escapes included. */
export function boundedMotd(text: string): string {
  return text.length <= MAX_MOTD_LENGTH ? text : text.slice(0, MAX_MOTD_LENGTH);
}
