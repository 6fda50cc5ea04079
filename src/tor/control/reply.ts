/**
 * Parses Tor's control protocol: bytes in, replies and events out. Pure.
 *
 *   reply    = *( mid / data ) end
 *   mid      = code "-" text CRLF
 *   data     = code "+" text CRLF *( line CRLF ) "." CRLF     ; a leading "." of a line is doubled
 *   end      = code " " text CRLF
 *   code     = 3DIGIT                                          ; 650 = an event, sent at any time
 *
 * A bare LF ends a line too. Bytes are read as latin1, so every byte is kept and decoding cannot fail.
 */
import { shownLine } from '../../kit/shown-text.js';

export interface ReplyLine {
  readonly text: string;
  /** The lines of the following data block, joined by LF, dots unstuffed. */
  readonly data?: string;
}

/** `code` is that of the last line; `lines` has at least one entry. */
export interface Reply {
  /** The status code of the last line. */
  readonly code: number;
  /** All lines of the reply, at least one. */
  readonly lines: readonly ReplyLine[];
}

export type ControlMessage =
  | { readonly kind: 'reply'; readonly reply: Reply }
  | { readonly kind: 'event'; readonly keyword: string; readonly text: string };

export type ReplyFault =
  /** A line without an end after `maxLineBytes`. */
  | 'line-too-long'
  /** A reply or event larger than `maxReplyBytes`. */
  | 'reply-too-large'
  /** A line that does not begin with three digits and one of blank, `-`, `+`. */
  | 'malformed-line';

export interface ParserLimits {
  readonly maxLineBytes: number;
  readonly maxReplyBytes: number;
}

/** Far above the size of any reply to the commands used here. */
export const DEFAULT_PARSER_LIMITS: ParserLimits = {
  maxLineBytes: 65_536,
  maxReplyBytes: 4_194_304,
};

export interface Pushed {
  /** The messages that were complete before the fault, in order. */
  readonly messages: readonly ControlMessage[];
  /** Set once the bytes are invalid; every later push returns the same fault and no messages. */
  readonly fault?: { readonly code: ReplyFault; readonly excerpt: string };
}

export interface ControlReplyParser {
  push(chunk: Uint8Array): Pushed;
  /** No partial line or reply is held. */
  readonly idle: boolean;
}

interface OpenLine {
  text: string;
  data?: string[];
}

interface Accumulator {
  lines: OpenLine[];
  bytes: number;
}

const EVENT_CODE = 650;
const EXCERPT_CHARS = 80;

function closeLine(line: OpenLine): ReplyLine {
  return line.data === undefined
    ? { text: line.text }
    : { text: line.text, data: line.data.join('\n') };
}

/** The first line without its keyword; following lines and data blocks, each on its own line. */
function eventOf(lines: readonly ReplyLine[]): ControlMessage {
  const all = lines.flatMap((line) =>
    line.data === undefined ? [line.text] : [line.text, line.data],
  );
  const [first = '', ...rest] = all;
  const blank = first.indexOf(' ');
  const keyword = blank < 0 ? first : first.slice(0, blank);
  const tail = blank < 0 ? '' : first.slice(blank + 1);
  return { kind: 'event', keyword, text: [tail, ...rest].join('\n') };
}

/** Never throws. Keeps at most one line and one unfinished reply and event, within `limits`. */
export function controlReplyParser(
  limits: ParserLimits = DEFAULT_PARSER_LIMITS,
): ControlReplyParser {
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  let fault: Pushed['fault'];
  /** The line whose data block is being read, and its message. */
  let block: { into: Accumulator; line: string[] } | undefined;
  let reply: Accumulator = { lines: [], bytes: 0 };
  let event: Accumulator = { lines: [], bytes: 0 };

  function grow(into: Accumulator, bytes: number): boolean {
    into.bytes += bytes + 1;
    return into.bytes <= limits.maxReplyBytes;
  }

  /** One line without its end; returns the message it completed, or the fault. */
  function takeLine(line: string): ControlMessage | ReplyFault | undefined {
    if (block !== undefined) {
      if (line === '.') {
        block = undefined;
        return undefined;
      }
      if (!grow(block.into, line.length)) return 'reply-too-large';
      block.line.push(line.startsWith('.') ? line.slice(1) : line);
      return undefined;
    }
    const head = /^([1-9]\d\d)([-+ ])/.exec(line);
    if (head === null) return 'malformed-line';
    const code = Number(head[1]);
    const into = code === EVENT_CODE ? event : reply;
    if (!grow(into, line.length)) return 'reply-too-large';
    const open: OpenLine = { text: line.slice(4) };
    into.lines.push(open);
    if (head[2] === '+') {
      open.data = [];
      block = { into, line: open.data };
      return undefined;
    }
    if (head[2] === '-') return undefined;
    const lines = into.lines.map(closeLine);
    if (code === EVENT_CODE) {
      event = { lines: [], bytes: 0 };
      return eventOf(lines);
    }
    reply = { lines: [], bytes: 0 };
    return { kind: 'reply', reply: { code, lines } };
  }

  function failWith(code: ReplyFault, line: string, messages: ControlMessage[]): Pushed {
    const excerpt = shownLine(line.slice(0, EXCERPT_CHARS));
    fault = { code, excerpt };
    pending = [];
    pendingBytes = 0;
    block = undefined;
    reply = { lines: [], bytes: 0 };
    event = { lines: [], bytes: 0 };
    return { messages, fault };
  }

  return {
    get idle() {
      const open = reply.lines.length + event.lines.length + pendingBytes;
      return open === 0 && block === undefined && fault === undefined;
    },
    push(chunk) {
      if (fault !== undefined) return { messages: [], fault };
      const messages: ControlMessage[] = [];
      const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      let start = 0;
      while (start < bytes.length) {
        const end = bytes.indexOf(0x0a, start);
        const piece = bytes.subarray(start, end < 0 ? bytes.length : end);
        pendingBytes += piece.length;
        if (pendingBytes > limits.maxLineBytes) {
          const begin = Buffer.concat([...pending, piece]).toString('latin1', 0, EXCERPT_CHARS);
          return failWith('line-too-long', begin, messages);
        }
        if (end < 0) {
          // A copy: the caller may reuse its buffer.
          pending.push(Buffer.from(piece));
          break;
        }
        const line = Buffer.concat([...pending, piece])
          .toString('latin1')
          .replace(/\r$/, '');
        pending = [];
        pendingBytes = 0;
        start = end + 1;
        const result = takeLine(line);
        if (typeof result === 'string') return failWith(result, line, messages);
        if (result !== undefined) messages.push(result);
      }
      return { messages };
    },
  };
}
