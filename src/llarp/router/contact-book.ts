/** The router contacts that a router knows: the newest of each, none expired. */
import { BoundedMap } from '../../kit/bounded-map.js';
import { ROUTER_CONTACT, type RouterContact } from '../structures.js';
import { writeLlarp } from '../read.js';
import { addressOf, CONTACT_LIFETIME_MS, contactFault, type ContactFault } from './contact.js';
import { byDistance, keyText } from './distance.js';

/** Most contacts; the one that was changed longest ago is forgotten. */
const MAX_CONTACTS = 4_096;

export class ContactBook {
  readonly #network: Uint8Array;
  readonly #onMoved: (contact: RouterContact) => void;
  readonly #contacts: BoundedMap<string, RouterContact>;

  /**
   * @param network 8 bytes
   * @param onMoved a newer contact names another address than the one before
   * @param most contacts
   */
  constructor(
    network: Uint8Array,
    onMoved: (contact: RouterContact) => void = () => undefined,
    most: number = MAX_CONTACTS,
  ) {
    this.#network = network;
    this.#onMoved = onMoved;
    this.#contacts = new BoundedMap(most);
  }

  get size(): number {
    return this.#contacts.size;
  }

  /** Takes a contact, unless a newer one is known. Returns its fault; undefined when the contact is good. */
  put(contact: RouterContact, now: bigint): ContactFault | undefined {
    const known = this.#contacts.get(keyText(contact.signingKey));
    // The same contact arrives often, and its signature was checked.
    if (known && isSame(known, contact)) return undefined;
    const fault = contactFault(contact, { network: this.#network, now });
    if (fault) return fault;
    if (!known || known.time < contact.time) {
      this.#contacts.set(keyText(contact.signingKey), contact);
      if (known && addressOf(known) !== addressOf(contact)) this.#onMoved(contact);
    }
    return undefined;
  }

  /** @param key the identity of the router */
  get(key: Uint8Array): RouterContact | undefined {
    return this.#contacts.get(keyText(key));
  }

  all(): readonly RouterContact[] {
    return [...this.#contacts.values()];
  }

  /** The contacts nearest to a key by exclusive or, the nearest first. */
  closest(key: Uint8Array, count: number): readonly RouterContact[] {
    const compare = byDistance(key);
    const nearest: RouterContact[] = [];
    for (const contact of this.#contacts.values()) {
      let at = nearest.length;
      while (at > 0 && isNearer(compare, contact, nearest[at - 1])) at--;
      if (at >= count) continue;
      nearest.splice(at, 0, contact);
      if (nearest.length > count) nearest.pop();
    }
    return nearest;
  }

  /** Removes expired contacts. */
  expire(now: bigint): void {
    for (const [key, { time }] of this.#contacts) {
      if (time + CONTACT_LIFETIME_MS <= now) this.#contacts.delete(key);
    }
  }
}

function isNearer(
  compare: (a: Uint8Array, b: Uint8Array) => number,
  contact: RouterContact,
  other: RouterContact | undefined,
): boolean {
  return other !== undefined && compare(contact.signingKey, other.signingKey) < 0;
}

function isSame(a: RouterContact, b: RouterContact): boolean {
  if (a.time !== b.time) return false;
  return Buffer.compare(writeLlarp(ROUTER_CONTACT, a), writeLlarp(ROUTER_CONTACT, b)) === 0;
}
