/** The bounds of directory lists (docs/directory-lists.md, section 2). A larger document is refused. */
export const LIST_BOUNDS = {
  /** Bytes of a document. A list of 500 entries has about 110,000. */
  documentBytes: 524_288,
  entries: 1_000,
  /** Characters of the note of an entry. */
  noteLength: 200,
  /** Names in the capabilities of an entry, and the characters of one. */
  capabilities: 16,
  capabilityLength: 32,
  /** Keys of a key set. */
  keys: 16,
  /** Key sets of a document: the first one, and its rotations. */
  keySets: 32,
  /** From issue to expiry. */
  lifetimeSeconds: 2 * 366 * 86_400,
  /** A list may be issued so much later than the clock of the reader says. */
  clockSlackSeconds: 2 * 3_600,
} as const;
