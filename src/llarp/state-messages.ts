/** The state messages of LLARP v0 (row D22). Its text calls them a stub, so no router of the lab acts on one. */
import { bytes, dictOf, exactly, uint } from './codec/field.js';
import { choice, column, structure, tagOf, type Of } from './codec/structure.js';

/** Most service nodes in one list. */
const MOST_NODES = 4_096;

function message<C extends Parameters<typeof structure>[1]>(name: string, tag: string, columns: C) {
  return structure(name, columns, { versionKey: 'V', tag: { key: 'A', value: tag } });
}

const MESSAGES = {
  /** A service node joined the network. */
  joined: message('state J', 'J', {
    /** Its public key, 32 bytes. */
    router: column('R', bytes(32)),
  }),
  /** A service node left the network. */
  parted: message('state P', 'P', {
    /** Its public key, 32 bytes. */
    router: column('R', bytes(32)),
  }),
  /** Asks for a part of the list of service nodes. */
  listRequest: message('state R', 'R', {
    /** The first one that is wanted. */
    offset: column('I', uint(64)),
    /** How many are wanted. */
    entries: column('R', uint(64)),
  }),
  /** By public key. */
  list: message('state L', 'L', {
    /** 1 for each public key. */
    routers: column('S', dictOf(exactly(1n), MOST_NODES)),
  }),
};

const TAGS: Readonly<Record<string, keyof typeof MESSAGES>> = {
  J: 'joined',
  P: 'parted',
  R: 'listRequest',
  L: 'list',
};

/** Any state message; `kind` tells which. */
export const STATE_MESSAGE = choice(
  'state message',
  MESSAGES,
  (dict) => TAGS[tagOf(dict, 'A') ?? ''],
);
/** Any state message. */
export type StateMessage = Of<typeof STATE_MESSAGE>;
