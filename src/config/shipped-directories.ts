import { VIRTUAL_PORT, type Network } from '../protocol/constants.js';

const withPort = (names: readonly string[]): readonly string[] =>
  names.map((name) => `${name}.onion:${VIRTUAL_PORT}`);

const SATOSHI2 = 'satoshi2vcg5e2ept7tjkzlkpomkobqmgtsjzegg6wipnoajadissead';
const JMARKET = 'jmarketxf5wc4aldf3slm5u6726zsky52bqnfv6qyxe5hnafgly6yuyd';
const COINJOINT = 'coinjointovy3eq5fjygdwpkbcdx63d7vd4g32mw7y553uj3kjjzkiqd';
const NAKAMOTO = 'nakamotourflxwjnjpnrk7yc2nhkf6r62ed4gdfxmmn5f4saw5q5qoyd';
const ODPWAF = 'odpwaf67rs5226uabcamvypg3y4bngzmfk7255flcdodesqhsvkptaid';
const JMRUST = 'jmrust7bgdbdl6skkvuzhqost4jkikrluj6alemspeifm5hvgqz2qaad';
const NOK55 = 'nok55gjlqw6h76zi6gigukoztpx7xgo5r3w5csu362nys5yukzrxpgad';
const JMV2DIR = 'jmv2dirze66rwxsq7xv7frhmaufyicd3yz5if6obtavsskczjkndn6yd';
const SIGNETV = 'signetvaxgd3ivj4tml4g6ed3samaa2rscre2gyeyohncmwk4fbesiqd';
const U5OJ = 'u5oj5etqex3vh7jagljf3e2lo4awmmtcw3klbrlt2fonzyozpn5txrqd';
const FRQP = 'frqp4m6yveiagow73dplmnyv2abrqhte2grbhgw7hkbkhrv6zagrqbqd';
const RR6F = 'rr6f6qtleiiwic45bby4zwmiwjrj3jsbmcvutwpqxjziaydjydkk5iad';
const K74O = 'k74oyetjqgcamsyhlym2vgbjtvhcrbxr4iowd4nv4zk5sehw4v665jad';
const Y2RU = 'y2ruswmdbsfl4hhwwiqz4m3sx6si5fr6l3pf62d4pms2b53wmagq3eqd';
// Shipped once, now known to be unreachable.
const KXW3 = '3kxw6lf5vf6y26emzwgibzhrzhmhqiw6ekrek3nqfjjmhwznb2moonad';
const QQD2 = 'qqd22cwgygaxcy6vdw6mzwkyaxg5urb4ptbc5d74nrj25phspajxjbqd';
const JMDIR = 'jmdirjmioywe2s5jad7ts6kgcqg66rj6wujj6q77n6wbdrgocqwexzid';
const BQLP = 'bqlpq6ak24mwvuixixitift4yu42nxchlilrcqwk2ugn45tdclg42qid';
const G3HV = 'g3hv4uynnmynqqq2mchf3fcm3yd46kfzmcdogejuckgwknwyq5ya6iad';
const WKD3 = 'wkd3kd73ze62sqhlj2ebwe6fxqvshw5sya6nkvrgcweegt7ljhuspaid';
const YLEGP = 'ylegp63psfqh3zk2huckf2xth6dxvh2z364ykjfmvsoze6tkfjceq7qd';

/**
 * The directories that a new installation connects to, by network: all that the deployed programs know
 * (docs/protocol.md, section 13.1). Empty for networks without a known directory.
 */
export const SHIPPED_DIRECTORIES: Readonly<Record<Network, readonly string[]>> = {
  mainnet: withPort([JMARKET, COINJOINT, NAKAMOTO, ODPWAF, JMRUST, NOK55, JMV2DIR, SATOSHI2]),
  testnet: [],
  signet: withPort([SIGNETV, U5OJ, FRQP, RR6F, K74O, Y2RU]),
  regtest: [],
};

/** A list that a program wrote into configuration files, so the operator did not choose it. */
export interface FormerList {
  readonly network: Network;
  /** The months in which it was shipped, for a person. */
  readonly when: string;
  /** Onions without `.onion` and port, since the first list had port 80. */
  readonly names: readonly string[];
}

/**
 * Every list that the original implementation ever shipped, the oldest first. Among them are those of
 * earlier versions of onionmc (2025-10, and signet since 2022-04).
 */
export const FORMER_LISTS: readonly FormerList[] = [
  { network: 'mainnet', when: '2022-04', names: [KXW3, QQD2] },
  { network: 'mainnet', when: '2022-04', names: [KXW3, QQD2, JMDIR] },
  { network: 'mainnet', when: '2022-04', names: [KXW3, QQD2, BQLP] },
  { network: 'mainnet', when: '2022-04 to 2022-10', names: [KXW3, JMDIR, BQLP] },
  { network: 'mainnet', when: '2022-10', names: [G3HV, KXW3, JMDIR, BQLP] },
  { network: 'mainnet', when: '2023-01 to 2025', names: [G3HV, KXW3, BQLP] },
  { network: 'mainnet', when: '2023-03', names: [WKD3, G3HV, KXW3, BQLP, YLEGP] },
  { network: 'mainnet', when: '2024-10', names: [G3HV, KXW3, BQLP, ODPWAF] },
  {
    network: 'mainnet',
    when: '2025-07',
    names: [KXW3, BQLP, COINJOINT, JMARKET, ODPWAF, SATOSHI2],
  },
  {
    network: 'mainnet',
    when: '2025-10',
    names: [SATOSHI2, JMARKET, COINJOINT, NAKAMOTO, ODPWAF],
  },
  {
    network: 'mainnet',
    when: '2025-11',
    names: [JMV2DIR, SATOSHI2, JMARKET, COINJOINT, NAKAMOTO, ODPWAF],
  },
  { network: 'signet', when: '2022-04', names: [RR6F, K74O] },
  { network: 'signet', when: 'since 2022-04', names: [RR6F, K74O, Y2RU] },
];
