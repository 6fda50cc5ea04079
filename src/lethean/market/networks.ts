/** Networks and addresses in descriptions: checked, so that they can be arguments of programs. Pure. */
import { isIP } from 'node:net';
import type { Fields } from './fields.js';

/** `192.0.2.0/24`, `fc00::/64`. */
export function isNetwork(text: string, family: 4 | 6): boolean {
  const [address = '', prefix, ...more] = text.split('/');
  const most = family === 4 ? 32 : 128;
  if (prefix === undefined || more.length > 0 || !/^\d{1,3}$/.test(prefix)) return false;
  return isIP(address) === family && Number(prefix) <= most;
}

export function networkOf(fields: Fields, name: string, family: 4 | 6): string {
  const text = fields.text(name);
  if (!isNetwork(text, family)) throw fields.fault(name, ruleOf(family));
  return text;
}

export function networksOf(fields: Fields, name: string, family: 4 | 6): readonly string[] {
  const texts = fields.texts(name);
  if (!texts.every((text) => isNetwork(text, family))) throw fields.fault(name, ruleOf(family));
  return texts;
}

export function addressOf(fields: Fields, name: string, family: 4 | 6): string {
  const text = fields.text(name);
  if (isIP(text) !== family) throw fields.fault(name, `must be an IPv${family} address`);
  return text;
}

export function addressesOf(fields: Fields, name: string): readonly string[] {
  const texts = fields.texts(name);
  if (!texts.every((text) => isIP(text) !== 0))
    throw fields.fault(name, 'must be a list of addresses');
  return texts;
}

const ruleOf = (family: 4 | 6): string =>
  `must be an IPv${family} network, as in "${family === 4 ? '192.0.2.0/24' : 'fc00::/64'}"`;
