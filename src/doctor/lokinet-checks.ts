/** Checks of a program that uses Lokinet. The code of Lokinet is loaded only for such a program. */
import type { Check } from './check.js';

export const lokinetCheck: Check = {
  id: 'lokinet',
  title: 'Lokinet',
  needs: ['lokinet'],
  onlyWith: 'lokinet',
  gives: [],
  run: async (facts, machine) =>
    (await import('./lokinet-runs.js')).lokinetRuns.resolver(facts, machine),
};

export const lokinetRpcCheck: Check = {
  id: 'lokinet-rpc',
  title: 'Lokinet RPC',
  needs: ['lokinet'],
  onlyWith: 'lokinet',
  gives: [],
  run: async (facts, machine) =>
    (await import('./lokinet-runs.js')).lokinetRuns.rpc(facts, machine),
};
