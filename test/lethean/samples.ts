/** Descriptions and answers as providers send them, with placeholder names. Files of version 1.1, and of 1.0. */

export const PROVIDER_ID = '5e'.repeat(32);
export const OTHER_ID = 'c4'.repeat(32);
export const WALLET = `iz${'4LfSfmUJ6aSM1PA8d7w'.repeat(5)}`;
export const OTHER_WALLET = `iz${'bexyouC87LdKACK76oo'.repeat(5)}`;
export const KEY = Buffer.alloc(32, 7).toString('base64');
export const CERTIFICATE = `-----BEGIN CERTIFICATE-----\n${'QUJD'.repeat(16)}\nQUJD\n-----END CERTIFICATE-----`;

type Sample = Readonly<Record<string, unknown>>;

export const provider = (more: Sample = {}): Sample => ({
  file_type: 'LetheanProvider',
  file_version: '1.1',
  revision: 1_710_354_815,
  providerid: PROVIDER_ID,
  name: 'Example provider',
  description: 'Exits for tests',
  ca: [CERTIFICATE],
  'manager-url': 'https://exit.example:8790/',
  spaces: ['1st', 'free'],
  wallet: WALLET,
  ...more,
});

export const space = (more: Sample = {}): Sample => ({
  file_type: 'LetheanSpace',
  file_version: '1.1',
  revision: 1_710_354_815,
  providerid: PROVIDER_ID,
  spaceid: '1st',
  name: 'Example space',
  ipv4_networks: ['198.51.100.0/24'],
  ipv6_networks: ['fc00:0:0:129::/64'],
  dns_servers: ['198.51.100.16'],
  price: { 'per-day': 0.25 },
  ...more,
});

export const gate = (more: Sample = {}): Sample => ({
  file_type: 'LetheanGateway',
  file_version: '1.1',
  revision: 1_710_354_815,
  providerid: PROVIDER_ID,
  gateid: 'http-proxy',
  name: 'Example HTTP proxy',
  type: 'http-proxy',
  price: { 'per-day': 0.1 },
  'http-proxy': { host: 'exit.example', port: 8080, tls: false },
  spaces: [`${PROVIDER_ID}.1st`],
  ...more,
});

export const wireGuardGate = (more: Sample = {}): Sample =>
  gate({
    gateid: 'wg',
    type: 'wg',
    wg: {
      endpoint: 'exit.example:8774',
      public_key: KEY,
      ipv4_network: '100.65.0.0/16',
      ipv4_gateway: '100.65.0.1',
      ipv6_network: 'fc00:0:0:65::/64',
      ipv6_gateway: 'fc00:0:0:65::1',
      use_psk: false,
    },
    ...more,
  });

export const sshGate = (more: Sample = {}): Sample =>
  gate({
    gateid: 'ssh',
    type: 'ssh',
    ssh: { host: 'exit.example', port: 8880, username: 'lvpn' },
    gates: [`${PROVIDER_ID}.http-proxy`],
    ...more,
  });

export const vdp = (more: Sample = {}): Sample => ({
  file_type: 'VPNDescriptionProtocol',
  file_version: '1.1',
  providers: [provider()],
  spaces: [space()],
  gates: [gate(), wireGuardGate(), sshGate()],
  ...more,
});

/** The same market in files of version 1.0: other names of fields, full ids, base64 without its lines. */
export const oldVdp: Sample = {
  filetype: 'VPNDescriptionProtocol',
  version: '1.0',
  providers: [
    {
      filetype: 'LetheanProvider',
      type: 'http-proxy',
      version: '1.0',
      providerid: PROVIDER_ID,
      name: 'Example provider',
      ca: 'QUJD'.repeat(40),
      wallet: WALLET,
      'manager-url': 'https://exit.example:8790',
      spaces: [PROVIDER_ID],
      gates: [`${PROVIDER_ID}-http`],
    },
  ],
  spaces: [
    {
      filetype: 'LetheanSpace',
      version: '1.0',
      providerid: PROVIDER_ID,
      spaceid: PROVIDER_ID,
      name: 'Example space',
      ips: ['198.51.100.0/24'],
      dns_servers: ['198.51.100.16'],
      price: { 'per-day': 0.1 },
    },
  ],
  gates: [
    {
      filetype: 'LetheanGateway',
      type: 'http-proxy',
      version: '1.0',
      providerid: PROVIDER_ID,
      gateid: `${PROVIDER_ID}-http`,
      name: 'Example HTTP proxy',
      price: { 'per-day': 0.1 },
      'http-proxy': { host: 'exit.example', port: 8123 },
      spaces: [PROVIDER_ID],
    },
  ],
};

export const service = (more: Sample = {}): Sample => ({
  id: '1A',
  provider: PROVIDER_ID,
  providerName: 'Example provider',
  providerWallet: WALLET,
  name: 'Example service',
  type: 'proxy',
  cost: '0.00012',
  firstPrePaidMinutes: 10,
  firstVerificationsNeeded: 0,
  subsequentPrePaidMinutes: 10,
  subsequentVerificationsNeeded: 0,
  allowRefunds: false,
  downloadSpeed: 20,
  uploadSpeed: 5,
  proxy: [{ endpoint: 'exit.example', port: '8080/tcp' }],
  vpn: null,
  mSpeed: null,
  disable: false,
  ...more,
});

export const oldAnswer = (...services: readonly Sample[]): Sample => ({
  protocolVersion: 1,
  providers: services.length === 0 ? [service()] : services,
});

export const session = (more: Sample = {}): Sample => ({
  sessionid: 'a1b2c3d4e5f60718',
  paymentid: '1122334455667788',
  spaceid: `${PROVIDER_ID}.1st`,
  gateid: `${PROVIDER_ID}.http-proxy`,
  wallet: WALLET,
  price: 0.7,
  days: 2,
  created: 1_800_000_000,
  expires: 1_800_003_600,
  username: 'user_0123456789',
  password: '00112233445566778899',
  bearer: '00112233445566778899aabb',
  paid: false,
  payments: [],
  activated: 0,
  payment_sent: false,
  ...more,
});

export const jsonOf = (value: unknown): string => JSON.stringify(value);
