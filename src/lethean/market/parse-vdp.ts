/** VDP files: what providers tell of themselves. Pure. */
import type { Gate, Provider, Space, Vdp } from '../model.js';
import { DescriptionError, Fields, readFields, type ListItem } from './fields.js';
import { requireFile } from './parse-common.js';
import { parseGate } from './parse-gate.js';
import { parseProvider, parseSpace } from './parse-provider.js';

/** Largest VDP, in UTF-16 units, and most objects of each kind in it. */
export const MAX_VDP = 4_194_304;
export const MAX_OBJECTS = 2_000;
/** Most refused objects that are told one by one. */
const MAX_TOLD = 20;

export interface ReadVdp extends Vdp {
  /** Objects that broke a rule, each with the rule: they are left out, the others count. At most 20. */
  readonly refused: readonly DescriptionError[];
  readonly refusedCount: number;
}

/**
 * Reads a VDP. Throws a DescriptionError when the text is no VDP. An object in it that breaks a rule is left out, so
 * that one faulty gate does not hide a market. So are a second object with the id of an earlier one, and gates and
 * spaces of a provider that the VDP does not describe.
 */
export function parseVdp(text: string): ReadVdp {
  if (text.length > MAX_VDP)
    throw new DescriptionError('', `a VDP must be at most ${MAX_VDP} characters`);
  const fields = readFields(text);
  requireFile(fields, 'VPNDescriptionProtocol');
  const reader = new ObjectReader();
  const providers = reader.read(
    fields.list('providers', MAX_OBJECTS),
    parseProvider,
    (p: Provider) => p.providerId,
  );
  const isDescribed = (id: string): boolean => providers.some((p) => p.providerId === id);
  const known = <T extends Gate | Space>(parse: (f: Fields) => T) => {
    return (object: Fields): T => {
      const value = parse(object);
      if (isDescribed(value.providerId)) return value;
      throw object.fault('providerid', 'is not the id of a provider in this VDP');
    };
  };
  // Version 1.0 had "gateways" for a time.
  const gateItems = fields.list(fields.named('gates', 'gateways'), MAX_OBJECTS);
  const gates = reader.read(gateItems, known(parseGate), (g: Gate) => g.gateId);
  const spaceItems = fields.list('spaces', MAX_OBJECTS);
  const spaces = reader.read(spaceItems, known(parseSpace), (s: Space) => s.spaceId);
  return { providers, gates, spaces, refused: reader.refused, refusedCount: reader.refusedCount };
}

class ObjectReader {
  readonly refused: DescriptionError[] = [];
  refusedCount = 0;

  read<T>(
    items: readonly ListItem[],
    parse: (fields: Fields) => T,
    idOf: (value: T) => string,
  ): readonly T[] {
    const values = new Map<string, T>();
    for (const { value, path } of items) {
      try {
        const parsed = parse(Fields.of(value, path));
        if (values.has(idOf(parsed)))
          throw new DescriptionError(path, 'has the id of another object');
        values.set(idOf(parsed), parsed);
      } catch (error) {
        this.#refuse(error);
      }
    }
    return [...values.values()];
  }

  #refuse(error: unknown): void {
    if (!(error instanceof DescriptionError)) throw error;
    this.refusedCount++;
    if (this.refused.length < MAX_TOLD) this.refused.push(error);
  }
}
