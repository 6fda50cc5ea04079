/** A manager's answers about sessions. Pure. */
import type {
  Session,
  SessionCertificate,
  SessionRequest,
  SessionSsh,
  SessionWireGuard,
} from '../model.js';
import { formatAmount } from '../amount.js';
import { DescriptionError, Fields, readFields } from './fields.js';
import { isProviderId } from './ids.js';
import { addressesOf, addressOf, networksOf } from './networks.js';
import { WIREGUARD_KEY, WIREGUARD_KEY_RULE } from './parse-common.js';
import { WALLET_ADDRESS, WALLET_RULE } from './parse-provider.js';

/** Largest answer, in UTF-16 units. A session with keys and certificates has about 10,000. */
export const MAX_SESSION = 131_072;
/** Longest time that can be bought at once, days. */
export const MAX_DAYS = 3_660;
/** Highest block. */
const MAX_HEIGHT = 2 ** 40;

/** Part of a file name here and of a query there: no separators, not empty. */
export const SESSION_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/;
const PAYMENT_ID = /^(?:[0-9a-fA-F]{16}|[0-9a-fA-F]{64})$/;
const TXID = /^[0-9a-fA-F]{64}$/;
/** Credentials go into header lines: printable ASCII without a colon in the user's name. */
const USERNAME = /^[!-9;-~]{1,256}$/;
const SECRET = /^[!-~]{1,1024}$/;
const PEM_KEY =
  /^-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----\s[A-Za-z0-9+/=\s]+-----END [A-Z ]{0,30}PRIVATE KEY-----\s*$/;
const PEM_CERTIFICATE =
  /^(?:-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*)+$/;
const SSH_CERTIFICATE = /^[a-z0-9@.-]+-cert-v01@openssh\.com [A-Za-z0-9+/=]+(?: [ -~]*)?[\r\n]*$/;

/** Reads a session. Throws a DescriptionError. */
export function parseSession(text: string): Session {
  return sessionOf(answerFields(text));
}

/** The body of POST `/api/session`. Numbers are days only. */
export function formatSessionRequest(request: SessionRequest): string {
  const { wireGuard } = request;
  return JSON.stringify({
    spaceid: request.spaceId,
    gateid: request.gateId,
    days: request.days,
    ...(wireGuard === undefined
      ? {}
      : { wg: { endpoint: wireGuard.endpoint, public_key: wireGuard.publicKey } }),
  });
}

/** A session as `sessionOf` reads it, for the file of this client: amounts are texts. */
export function formatSession(session: Session): object {
  const { wg, ssh, proxy } = session;
  const [address, prefix] = wg?.ipv4Address.split('/') ?? [];
  const [address6, prefix6] = wg?.ipv6Address?.split('/') ?? [];
  return {
    sessionid: session.sessionId,
    paymentid: session.paymentId,
    wallet: session.wallet,
    price: formatAmount(session.price),
    days: session.days,
    created: session.created,
    expires: session.expires,
    spaceid: session.spaceId,
    gateid: session.gateId,
    username: session.username,
    password: session.password,
    bearer: session.bearer,
    paid: session.paid,
    activated: session.activated,
    payments: session.payments.map(({ height, txid, amount }) => {
      return { height, txid, amount: formatAmount(amount) };
    }),
    contributions: session.contributions.map(({ wallet, price }) => {
      return { purpose: '', wallet, price: formatAmount(price) };
    }),
    parent: session.parent,
    wg: wg && {
      server_public_key: wg.serverPublicKey,
      client_public_key: wg.clientPublicKey,
      psk: wg.presharedKey,
      client_ipv4_address: address,
      ipv4_prefix: Number(prefix),
      client_ipv6_address: address6,
      ipv6_prefix: address6 === undefined ? undefined : Number(prefix6),
      server_ipv4_address: wg.serverIpv4Address,
      server_ipv4_networks: wg.networks.filter((network) => !network.includes(':')),
      server_ipv6_networks: wg.networks.filter((network) => network.includes(':')),
      dns: wg.dns,
    },
    proxy: proxy && { key: proxy.key, crt: proxy.certificate },
    ssh: ssh && { key: ssh.key, crt: ssh.certificate, port: ssh.reversePort },
  };
}

function answerFields(text: string): Fields {
  if (text.length <= MAX_SESSION) return readFields(text);
  throw new DescriptionError(
    '',
    `an answer about a session must be at most ${MAX_SESSION} characters`,
  );
}

/** Reads the fields of a session. Throws a DescriptionError. */
export function sessionOf(fields: Fields): Session {
  const wallet = fields.matching('wallet', WALLET_ADDRESS, WALLET_RULE);
  return {
    sessionId: fields.matching('sessionid', SESSION_ID, 'must be letters, digits, "-" and "_"'),
    paymentId: fields
      .matching('paymentid', PAYMENT_ID, 'must be 16 or 64 hex digits')
      .toLowerCase(),
    wallet,
    price: priceOf(fields),
    days: fields.integer('days', 1, MAX_DAYS),
    created: fields.time('created'),
    expires: fields.time('expires'),
    spaceId: idOf(fields, 'spaceid'),
    gateId: idOf(fields, 'gateid'),
    username: fields.optionalMatching('username', USERNAME, 'must be printable ASCII without ":"'),
    password: fields.optionalMatching('password', SECRET, 'must be printable ASCII'),
    bearer: fields.optionalMatching('bearer', SECRET, 'must be printable ASCII'),
    paid: fields.flag('paid', false),
    activated: fields.optionalTime('activated') ?? 0,
    payments: paymentsOf(fields),
    contributions: contributionsOf(fields),
    parent: fields.optionalMatching('parent', SESSION_ID, 'must be the id of a session'),
    wg: optionalPart(fields, 'wg', wireGuardOf),
    proxy: optionalPart(fields, 'proxy', certificateOf),
    ssh: optionalPart(fields, 'ssh', sshOf),
  };
}

/** The reference sends a list of one number after a renewal. */
function priceOf(fields: Fields): bigint {
  return fields.optionalOnly('price') ?? fields.amount('price');
}

/** A full id: the manager repeats the request. */
function idOf(fields: Fields, name: string): string | undefined {
  const text = fields.optionalText(name);
  if (text === undefined) return undefined;
  const provider = text.slice(0, 64);
  if (!isProviderId(provider)) throw fields.fault(name, 'must begin with the id of a provider');
  return `${provider.toLowerCase()}${text.slice(64)}`;
}

/** An empty object counts as missing, as the reference has it before the session is active. */
function optionalPart<T>(fields: Fields, name: string, read: (part: Fields) => T): T | undefined {
  const part = fields.optionalObject(name);
  return part === undefined || part.isEmpty ? undefined : read(part);
}

function paymentsOf(fields: Fields): Session['payments'] {
  return fields.list('payments').map(({ value, path }) => {
    const payment = Fields.of(value, path);
    return {
      height: payment.optionalInteger('height', 0, MAX_HEIGHT) ?? 0,
      txid: payment.matching('txid', TXID, 'must be 64 hex digits').toLowerCase(),
      amount: payment.amount('amount'),
    };
  });
}

function contributionsOf(fields: Fields): Session['contributions'] {
  return fields.list('contributions', 16).map(({ value, path }) => {
    const part = Fields.of(value, path);
    return {
      wallet: part.matching('wallet', WALLET_ADDRESS, WALLET_RULE),
      price: part.amount('price'),
    };
  });
}

function wireGuardOf(fields: Fields): SessionWireGuard {
  const key = (name: string): string => fields.matching(name, WIREGUARD_KEY, WIREGUARD_KEY_RULE);
  return {
    serverPublicKey: key('server_public_key'),
    clientPublicKey: key('client_public_key'),
    presharedKey: fields.has('psk') ? key('psk') : undefined,
    ipv4Address: `${addressOf(fields, 'client_ipv4_address', 4)}/${fields.integer('ipv4_prefix', 0, 32)}`,
    ipv6Address: fields.has('client_ipv6_address')
      ? `${addressOf(fields, 'client_ipv6_address', 6)}/${fields.optionalInteger('ipv6_prefix', 0, 128) ?? 128}`
      : undefined,
    serverIpv4Address: addressOf(fields, 'server_ipv4_address', 4),
    networks: [
      ...networksOf(fields, 'server_ipv4_networks', 4),
      ...networksOf(fields, 'server_ipv6_networks', 6),
    ],
    dns: addressesOf(fields, 'dns'),
  };
}

function certificateOf(fields: Fields): SessionCertificate {
  return {
    key: fields.matching('key', PEM_KEY, 'must be a private key in PEM'),
    certificate: fields.matching('crt', PEM_CERTIFICATE, 'must be certificates in PEM'),
  };
}

function sshOf(fields: Fields): SessionSsh {
  return {
    key: fields.matching('key', PEM_KEY, 'must be a private key in PEM or OpenSSH form'),
    certificate: fields.matching('crt', SSH_CERTIFICATE, 'must be an OpenSSH certificate').trim(),
    reversePort: fields.optionalInteger('port', 1, 65_535),
  };
}
