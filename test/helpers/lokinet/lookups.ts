/** Watches what the system is asked to resolve: `getaddrinfo`, under all that Node offers for it. */
import dns from 'node:dns';
import { isIP } from 'node:net';
import type { Test } from 'tap';

/** The names that are looked up from now on; addresses, which need no look-up, are left out. */
export function watchLookups(t: Test): readonly string[] {
  const names: string[] = [];
  const before = { lookup: dns.lookup, promised: dns.promises.lookup };
  const note = (name: string): void => {
    if (isIP(name) === 0) names.push(name);
  };
  dns.lookup = new Proxy(before.lookup, {
    apply(target, that, args: unknown[]) {
      note(String(args[0]));
      return Reflect.apply(target, that, args);
    },
  });
  dns.promises.lookup = new Proxy(before.promised, {
    apply(target, that, args: unknown[]) {
      note(String(args[0]));
      return Reflect.apply(target, that, args);
    },
  });
  t.teardown(() => {
    dns.lookup = before.lookup;
    dns.promises.lookup = before.promised;
  });
  return names;
}
