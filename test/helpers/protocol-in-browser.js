/* The part of the test of `onionmc/protocol` that runs in the browser, on the vectors of test/vectors. */
import * as protocol from 'onionmc/protocol';

const bytes = (hex) => Uint8Array.from(hex.match(/../g), (pair) => Number.parseInt(pair, 16));

/** The taker's private message, verified as the maker does and written again. */
function privateMessage({ takerKey, makerKey, line }) {
  const taker = protocol.nickKey(bytes(takerKey));
  const maker = protocol.nickKey(bytes(makerKey));
  const envelope = protocol.decodeEnvelope(new TextEncoder().encode(line)).value;
  const { from, to, text } = protocol.parseRoute(envelope.line).value;
  const [fill] = protocol.verifyPrivmsg(from, to, text).value.commands;
  const again = protocol.formatPrivmsg(taker, maker.nick, fill.name, fill.args.join(' '));
  return protocol.encodeEnvelope(envelope.type, again);
}

function box({ secretA, secretB, wire }) {
  const a = protocol.boxKeyPair(bytes(secretA));
  const b = protocol.boxKeyPair(bytes(secretB));
  return protocol.openBoxSession(b, a.publicKeyHex).value.decrypt([wire]).value;
}

function bond({ maker, taker, proof }) {
  const parsed = protocol.parseFidelityBond(proof).value;
  return protocol.verifyFidelityBond(parsed, maker, taker).value.utxo.txid;
}

function podle({ key, txid, vout, index }) {
  return protocol.createPodle(bytes(key), { txid, vout }, index).commitment;
}

globalThis.compute = (vectors) => ({
  freshNick: protocol.createNickKey((count) => crypto.getRandomValues(new Uint8Array(count))).nick,
  nicks: vectors.nicks.map(({ privateKey }) => protocol.nickKey(bytes(privateKey)).nick),
  privateMessage: privateMessage(vectors.privmsgFill),
  onion: protocol.onionHost(bytes(vectors.onion[0].publicKey)),
  box: box(vectors.box),
  podle: podle(vectors.podle.deterministic),
  bond: bond(vectors.fidelityBonds[0]),
});
