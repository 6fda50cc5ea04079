/** Speeds as people write them, section 3.2: `10mbps`. Bits, and factors of 1,000. Pure. */

const SPEED = /^(\d{1,9}(?:\.\d{1,3})?)\s*(k|m|g)(?:bps|bit\/s|bit)$/i;
const KBPS = { k: 1, m: 1_000, g: 1_000_000 } as const;

/** kbit/s; undefined for a text without a unit, or with another one. */
export function parseSpeed(text: string): number | undefined {
  const [, number, unit] = SPEED.exec(text.trim()) ?? [];
  const factor = Object.entries(KBPS).find(([letter]) => letter === unit?.toLowerCase())?.[1];
  return number === undefined || factor === undefined
    ? undefined
    : Math.ceil(Number(number) * factor);
}

/** `10mbps`; whole units only, rounded down, so that a server hides no offer that is fast enough. */
export function formatSpeed(kbps: number): string {
  return kbps >= 1_000 ? `${Math.floor(kbps / 1_000)}mbps` : `${Math.floor(kbps)}kbps`;
}
