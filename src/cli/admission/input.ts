/** One line from standard input: a secret must not be an argument, which other users of the machine can see. */
const MAX_CHARS = 4_096;

/** The first line, without its end; empty when there is none. */
export async function firstLineOfInput(): Promise<string> {
  let text = '';
  for await (const chunk of process.stdin) {
    text += String(chunk);
    if (text.includes('\n') || text.length > MAX_CHARS) break;
  }
  return text.split(/\r?\n/, 1)[0] ?? '';
}
