/** The little of DNS messages that a resolver of one question needs (RFC 1035). */

/** The types that are asked. */
export const TYPE = { A: 1, CNAME: 5, PTR: 12, MX: 15, TXT: 16, AAAA: 28, SRV: 33 } as const;
export const RCODE = { OK: 0, SERVFAIL: 2, NXDOMAIN: 3 } as const;

export interface Question {
  readonly id: number;
  readonly name: string;
  readonly type: number;
  /** The bytes of the question, for the answer. */
  readonly bytes: Buffer;
}

/** The one question of a query; undefined for any other message. */
export function parseQuery(message: Buffer): Question | undefined {
  if (message.length < 17 || message.readUInt16BE(4) !== 1) return undefined;
  const labels: string[] = [];
  let at = 12;
  for (;;) {
    const length = message[at] ?? 64;
    at += 1;
    if (length === 0) break;
    if (length > 63) return undefined;
    labels.push(message.toString('latin1', at, at + length));
    at += length;
  }
  if (message.length < at + 4) return undefined;
  return {
    id: message.readUInt16BE(0),
    name: labels.join('.').toLowerCase(),
    type: message.readUInt16BE(at),
    bytes: message.subarray(12, at + 4),
  };
}

export function nameBytes(name: string): Buffer {
  const labels = name.split('.').map((label) => Buffer.from(label, 'latin1'));
  return Buffer.concat([
    ...labels.flatMap((label) => [Buffer.from([label.length]), label]),
    Buffer.from([0]),
  ]);
}

export const addressBytes = (address: string): Buffer =>
  Buffer.from(address.split('.').map(Number));

export function textBytes(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text, 'latin1')]);
}

export interface Srv {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly target: string;
}

export function srvBytes({ priority, weight, port, target }: Srv): Buffer {
  const numbers = Buffer.alloc(6);
  numbers.writeUInt16BE(priority, 0);
  numbers.writeUInt16BE(weight, 2);
  numbers.writeUInt16BE(port, 4);
  return Buffer.concat([numbers, nameBytes(target)]);
}

/** The answer to a question: records of the type that was asked, or a failure. */
export function answerTo(question: Question, rcode: number, records: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(question.id, 0);
  header.writeUInt16BE(0x8180 | rcode, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  const answers = records.map((data) => {
    const head = Buffer.alloc(12);
    // The name of the question.
    head.writeUInt16BE(0xc00c, 0);
    head.writeUInt16BE(question.type, 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt32BE(1, 6);
    head.writeUInt16BE(data.length, 10);
    return Buffer.concat([head, data]);
  });
  return Buffer.concat([header, question.bytes, ...answers]);
}
