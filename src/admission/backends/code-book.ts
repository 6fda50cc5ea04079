/**
 * The backend of our own code file. A code that we made costs one keyed hash, one look-up by its id and one
 * comparison in constant time. Any other code costs one run of scrypt, whatever the number of codes.
 */
import { timingSafeEqual } from 'node:crypto';
import {
  decided,
  type AdmissionRequest,
  type Backend,
  type Decision,
  type Door,
  type HeldSession,
  type Reason,
} from '../api.js';
import { addressForm, type CodeFileContent, type CodeRecord } from '../code-record.js';
import { codeMac, madeCodeId } from '../code-text.js';
import { Recognised } from '../recognised.js';
import { ScryptQueue } from '../scrypt-queue.js';
import { Sessions, type UseCounter } from '../sessions.js';

/** A Lokinet client asks again at intervals of minutes; after so long without a request it is gone. */
const SESSION_MS = 10 * 60_000;

export interface CodeBookOptions {
  readonly uses: UseCounter;
  /** Called when a use cannot be stored; the code is refused then. */
  readonly onFault?: (error: unknown) => void;
  readonly sessionMs?: number;
}

interface Indexed {
  readonly content: CodeFileContent;
  readonly byId: ReadonlyMap<string, CodeRecord>;
  /** Chosen codes by their hash. */
  readonly byHash: ReadonlyMap<string, CodeRecord>;
}

function index(content: CodeFileContent): Indexed {
  const { codes } = content;
  return {
    content,
    byId: new Map(codes.map((code) => [code.id, code])),
    byHash: new Map(codes.filter(({ kind }) => kind === 'chosen').map((code) => [code.hash, code])),
  };
}

function sessionKey(door: Door, session: string): string {
  return `${door} ${session}`;
}

export class CodeBook implements Backend {
  #indexed: Indexed;
  readonly #sessions: Sessions;
  readonly #onFault: ((error: unknown) => void) | undefined;
  readonly #scrypt = new ScryptQueue();
  /** Ids of chosen codes. */
  readonly #recognised = new Recognised<string>();

  constructor(
    content: CodeFileContent,
    { uses, sessionMs = SESSION_MS, onFault }: CodeBookOptions,
  ) {
    this.#onFault = onFault;
    this.#indexed = index(content);
    this.#sessions = new Sessions(uses, sessionMs);
  }

  /** The file has changed. Sessions go on counting. */
  replace(content: CodeFileContent): void {
    this.#indexed = index(content);
    this.#recognised.clear();
  }

  recognise(request: AdmissionRequest): Decision | undefined {
    const { code } = request;
    if (code.length === 0) return decided('REJECT', 'no-code');
    const id = madeCodeId(code);
    if (id !== undefined) return this.#made(id, request);
    if (this.#indexed.byHash.size === 0) return decided('REJECT', 'unknown-code');
    const known = this.#recognised.get(request);
    const record = known === undefined ? undefined : this.#indexed.byId.get(known);
    return record && this.#rules(record, request);
  }

  async judge(request: AdmissionRequest): Promise<Decision> {
    const { code } = request;
    const run = this.#scrypt.hash(code, this.#indexed.content.salt);
    if (!run) return decided('LIMITED', 'busy');
    const record = this.#indexed.byHash.get((await run).toString('hex'));
    if (!record) return decided('REJECT', 'unknown-code');
    this.#recognised.add(request, record.id);
    return this.#rules(record, request);
  }

  stays({ codeId, door, session }: HeldSession, now: number): boolean {
    const record = codeId === undefined ? undefined : this.#indexed.byId.get(codeId);
    if (record === undefined || lifeOf(record, now) !== undefined) return false;
    this.#sessions.keep(record.id, sessionKey(door, session), now);
    return true;
  }

  left({ codeId, door, session }: HeldSession): void {
    if (codeId !== undefined) this.#sessions.leave(codeId, sessionKey(door, session));
  }

  close(): void {
    this.#recognised.clear();
  }

  #made(id: string, request: AdmissionRequest): Decision {
    const { content, byId } = this.#indexed;
    const mac = codeMac(content.key, request.code);
    const found = byId.get(id);
    const record = found?.kind === 'made' ? found : undefined;
    // Also for an unknown id, so that the time does not tell which ids exist.
    const hash = record ? Buffer.from(record.hash, 'hex') : Buffer.alloc(mac.length);
    const isEqual = timingSafeEqual(mac, hash);
    if (!record || !isEqual) return decided('REJECT', 'unknown-code');
    return this.#rules(record, request);
  }

  #rules(record: CodeRecord, request: AdmissionRequest): Decision {
    const { id, addresses } = record;
    const { address, aliases = [], now, door, session = address } = request;
    const over = lifeOf(record, now);
    if (over) return decided('REJECT', over, id);
    const names = [address, ...aliases].map(addressForm);
    if (addresses.length > 0 && !addresses.some((bound) => names.includes(bound))) {
      return decided('REJECT', 'other-address', id);
    }
    const why = this.#enter(record, sessionKey(door, session), now);
    if (why === undefined) return decided('OKAY', 'admitted', id);
    return decided(why === 'used-up' ? 'REJECT' : 'LIMITED', why, id);
  }

  /** A use that the disk does not take is none: the client may try again. Never throws. */
  #enter(record: CodeRecord, session: string, now: number): Reason | undefined {
    try {
      return this.#sessions.enter(record, session, now);
    } catch (error) {
      this.#onFault?.(error);
      return 'uses-failed';
    }
  }
}

/** Why a code is not valid now, whoever shows it. */
export function lifeOf(
  { revoked, notBefore, notAfter }: CodeRecord,
  now: number,
): 'revoked' | 'not-yet' | 'expired' | undefined {
  if (revoked !== undefined) return 'revoked';
  if (notBefore !== undefined && now < notBefore) return 'not-yet';
  if (notAfter !== undefined && now >= notAfter) return 'expired';
  return undefined;
}
