/**
 * What worked: when each known directory was last tried, and how that ended. Bounded; a crash loses at most the
 * last minute. The file has mode 0600, since it shows which directories the user knows.
 */
import { isRecord, parseRecord } from '../../kit/json-record.js';
import { formatLocation, parseLocation, type Location } from '../../protocol/location.js';

/** Directories remembered; the one that was not tried for longest is forgotten first. */
const MAX_CONTACTS = 2_000;
/** Attempts that count; older ones fade, so that a directory can recover. */
const MAX_ATTEMPTS = 20;
/** Bytes of the file with this many contacts. */
export const MAX_HISTORY_BYTES = 512 * 1_024;

/** All times in seconds since 1970; undefined: never. */
export interface Contact {
  /** When this program first heard of it. */
  readonly known: number;
  readonly tried?: number | undefined;
  readonly worked?: number | undefined;
  /** Since when every attempt failed. */
  readonly failing?: number | undefined;
  /** Recent attempts, and those of them that worked. */
  readonly attempts: number;
  readonly successes: number;
}

const VERSION = 1;

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function timeOf(value: unknown): number | undefined {
  return isTime(value) ? value : undefined;
}

function contactOf(value: unknown): Contact | undefined {
  if (!isRecord(value)) return undefined;
  const { known, attempts, successes } = value;
  if (!isTime(known) || !isTime(attempts) || !isTime(successes)) return undefined;
  if (attempts > MAX_ATTEMPTS || successes > attempts) return undefined;
  return {
    known,
    tried: timeOf(value['tried']),
    worked: timeOf(value['worked']),
    failing: timeOf(value['failing']),
    attempts,
    successes,
  };
}

/** The contacts in the text of the file; what is not a contact is left out. Never throws. */
export function parseContacts(text: string): ReadonlyMap<string, Contact> {
  const record = parseRecord(text);
  if (record?.['version'] !== VERSION || !isRecord(record['directories'])) return new Map();
  const contacts = new Map<string, Contact>();
  for (const [key, value] of Object.entries(record['directories'])) {
    const contact = contactOf(value);
    if (contact === undefined || contacts.size >= MAX_CONTACTS) continue;
    const location = parseLocation(key);
    if (location.ok && formatLocation(location.value) === key) contacts.set(key, contact);
  }
  return contacts;
}

/** Half of the counted attempts are forgotten when there are too many. */
function counted(attempts: number, successes: number): Pick<Contact, 'attempts' | 'successes'> {
  if (attempts <= MAX_ATTEMPTS) return { attempts, successes };
  return { attempts: attempts >> 1, successes: successes >> 1 };
}

export class ContactHistory {
  readonly #contacts: Map<string, Contact>;

  constructor(contacts: ReadonlyMap<string, Contact> = new Map()) {
    this.#contacts = new Map(contacts);
  }

  get size(): number {
    return this.#contacts.size;
  }

  of(location: Location): Contact | undefined {
    return this.#contacts.get(formatLocation(location));
  }

  /** A directory was named by a list or the program. */
  learn(location: Location, now: number): void {
    const key = formatLocation(location);
    if (!this.#contacts.has(key)) this.#set(key, { known: now, attempts: 0, successes: 0 });
  }

  worked(location: Location, now: number): void {
    const contact = this.#contactOf(location, now);
    const { attempts, successes } = contact;
    this.#set(formatLocation(location), {
      ...contact,
      tried: now,
      worked: now,
      failing: undefined,
      ...counted(attempts + 1, successes + 1),
    });
  }

  failed(location: Location, now: number): void {
    const contact = this.#contactOf(location, now);
    const { attempts, successes, failing = now } = contact;
    this.#set(formatLocation(location), {
      ...contact,
      tried: now,
      failing,
      ...counted(attempts + 1, successes),
    });
  }

  /** The text of the file. */
  format(): string {
    const rows = [...this.#contacts].map(([key, contact]) => {
      const { known, tried, worked, failing, attempts, successes } = contact;
      return [key, { known, tried, worked, failing, attempts, successes }] as const;
    });
    const directories = Object.fromEntries(rows);
    return `${JSON.stringify({ version: VERSION, directories })}\n`;
  }

  #contactOf(location: Location, now: number): Contact {
    return this.of(location) ?? { known: now, attempts: 0, successes: 0 };
  }

  #set(key: string, contact: Contact): void {
    this.#contacts.set(key, contact);
    if (this.#contacts.size <= MAX_CONTACTS) return;
    const age = ([, { tried, known }]: readonly [string, Contact]): number => tried ?? known;
    const [oldest] = [...this.#contacts]
      .filter(([other]) => other !== key)
      .reduce((a, b) => (age(b) < age(a) ? b : a));
    this.#contacts.delete(oldest);
  }
}
