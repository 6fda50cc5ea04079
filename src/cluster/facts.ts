/**
 * What a node says of itself in its heartbeats, so that the operator of another node sees what should be the same
 * everywhere: the clock, the MOTD, the limits, and whether its onion is reached from outside. Nothing is decided by
 * it. Nodes of an earlier version say none of it.
 */
import { createHash } from 'node:crypto';
import type { JsonRecord } from '../kit/json-record.js';

/** What this node says; given by the program at each heartbeat. */
export interface OwnFacts {
  /** `motd` of the configuration, without the lines that name the address. */
  readonly motd: string;
  /** The limits in force, as a text that is equal where they are. */
  readonly limits: string;
  /** Whether the canary reached the onion and was relayed; undefined: not tested. */
  readonly reached: boolean | undefined;
}

/** What another node says; undefined: it does not, or not so that it can be read. */
export interface NodeFacts {
  /** Its clock when it sent this: milliseconds since 1970. */
  readonly time: number | undefined;
  /** Digests, 8 hex digits. */
  readonly motd: string | undefined;
  readonly limits: string | undefined;
  readonly reached: boolean | undefined;
}

export const NO_FACTS: NodeFacts = {
  time: undefined,
  motd: undefined,
  limits: undefined,
  reached: undefined,
};

const DIGEST = /^[0-9a-f]{8}$/;

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

/** @param time the clock of this machine, milliseconds since 1970 */
export function statedFacts({ motd, limits, reached }: OwnFacts, time: number): NodeFacts {
  return { time: Math.round(time), motd: digestOf(motd), limits: digestOf(limits), reached };
}

/** The fields in a heartbeat. */
export function formatFacts({ time, motd, limits, reached }: NodeFacts): JsonRecord {
  return {
    ...(time === undefined ? {} : { z: time }),
    ...(motd === undefined ? {} : { o: motd }),
    ...(limits === undefined ? {} : { m: limits }),
    ...(reached === undefined ? {} : { c: reached }),
  };
}

function digestIn(value: unknown): string | undefined {
  return typeof value === 'string' && DIGEST.test(value) ? value : undefined;
}

/** The reverse of `formatFacts`. Never throws: a heartbeat counts without them. */
export function parseFacts({ z, o, m, c }: JsonRecord): NodeFacts {
  return {
    time: typeof z === 'number' && Number.isSafeInteger(z) && z >= 0 ? z : undefined,
    motd: digestIn(o),
    limits: digestIn(m),
    reached: typeof c === 'boolean' ? c : undefined,
  };
}

/** How another node differs from this one. */
export interface Differences {
  /** Its clock minus ours when its last heartbeat came; the way takes milliseconds. */
  readonly clockAheadMs: number | undefined;
  readonly sameMotd: boolean | undefined;
  readonly sameLimits: boolean | undefined;
  readonly reached: boolean | undefined;
}

export const NO_DIFFERENCES: Differences = {
  clockAheadMs: undefined,
  sameMotd: undefined,
  sameLimits: undefined,
  reached: undefined,
};

function isSame(a: string | undefined, b: string | undefined): boolean | undefined {
  return a === undefined || b === undefined ? undefined : a === b;
}

/** @param own with the time of now */
export function differences(own: NodeFacts, other: NodeFacts): Differences {
  const { time, motd, limits, reached } = other;
  return {
    clockAheadMs: time === undefined || own.time === undefined ? undefined : time - own.time,
    sameMotd: isSame(own.motd, motd),
    sameLimits: isSame(own.limits, limits),
    reached,
  };
}
