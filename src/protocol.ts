/**
 * `onionmc/protocol`: the bytes and texts of the network in typed values, and back. Pure functions, also
 * for a browser: nothing here loads a module of Node. Functions that need chance take `RandomBytes`.
 */
export {
  APP_NAME,
  HOST_ID,
  INTERNAL_ONLY_TYPES,
  MAX_LINE_BYTES,
  MAX_SENT_LINE_BYTES,
  MessageType,
  NETWORKS,
  NOT_SERVING_ONION,
  PEERLIST_CHUNK_ENTRIES,
  PROTOCOL_VERSION,
  VIRTUAL_PORT,
  type Network,
} from './protocol/constants.js';
export {
  decodeEnvelope,
  encodeEnvelope,
  fitsOneLine,
  type Envelope,
  type EnvelopeFault,
} from './protocol/envelope.js';
export { createLineFramer, type LineFramer } from './protocol/line-framer.js';
export {
  addLocationKind,
  formatLocation,
  NOT_SERVING,
  onionHost,
  parseDeclaredLocation,
  parseLocation,
  parseOnionHost,
  sameLocation,
  type AddedKind,
  type DeclaredLocation,
  type Location,
  type LocationFault,
  type LocationKind,
  type LocationRow,
} from './protocol/location.js';
export {
  formatDirectoryHandshake,
  formatPeerHandshake,
  isMismatch,
  parseDirectoryHandshake,
  parsePeerHandshake,
  type DirectoryHandshake,
  type DirectoryHandshakeFault,
  type HandshakeGarbage,
  type HandshakeMismatch,
  type HandshakeRules,
  type PeerHandshake,
} from './protocol/handshake.js';
export {
  formatPeerEntry,
  isFeatureName,
  joinPeerEntries,
  parsePeerlist,
  type PeerEntry,
  type Peerlist,
} from './protocol/peerlist.js';
export {
  formatPrivmsg,
  formatPubmsg,
  parseRoute,
  verifyPrivmsg,
  type PrivateMessage,
  type PrivmsgFault,
  type RoutedPayload,
  type RouteFault,
} from './protocol/message.js';
export {
  COMMANDS,
  isCommandName,
  isOfferType,
  MAX_COMMANDS,
  OFFER_TYPES,
  parseCommands,
  type Command,
  type CommandName,
  type CommandRule,
  type CommandsFault,
  type OfferType,
} from './protocol/commands.js';
export {
  createNickKey,
  isRoutableNick,
  nickHash,
  nickKey,
  nickMatchesKey,
  nickOf,
  type NickKey,
} from './protocol/nick.js';
export { signedMessageHash, signText, verifyText } from './protocol/signature.js';
export {
  createNickChallenge,
  directoryId,
  formatNickChallenge,
  formatNickProof,
  formatNickResult,
  NICK_AUTH_CODES,
  NICK_AUTH_FEATURE,
  NICK_AUTH_MODES,
  parseNickChallenge,
  parseNickProof,
  parseNickResult,
  proveNick,
  verifyNickProof,
  type NickAuthChallenge,
  type NickAuthCode,
  type NickAuthFault,
  type NickAuthMode,
  type NickAuthProof,
} from './protocol/nick-auth.js';
export {
  boxKeyPair,
  createBoxKeyPair,
  openBoxSession,
  type BoxFault,
  type BoxKeyFault,
  type BoxKeyPair,
  type BoxSession,
  type RandomBytes,
} from './protocol/encryption.js';
export {
  createPodle,
  formatCommitment,
  formatRevelation,
  numsPoint,
  parseBareCommitment,
  parseCommitment,
  parseRevelation,
  PODLE_RETRIES,
  verifyPodle,
  type CommitmentFault,
  type Podle,
  type PodleFault,
  type PodleRevelation,
} from './protocol/podle.js';
export {
  DUST_THRESHOLD,
  formatOffer,
  isRelative,
  MAX_SATOSHI,
  offerFault,
  offerFee,
  parseOffer,
  parseOid,
  type Offer,
  type OfferFault,
} from './protocol/offer.js';
export {
  formatNamedOutpoint,
  formatOutpoint,
  parseOutpoint,
  type NamedOutpoint,
  type Outpoint,
} from './protocol/outpoint.js';
export { bondScriptPubKey } from './protocol/bond-script.js';
export {
  bondCertificateId,
  bondValue,
  certExpired,
  certExpiryAt,
  formatFidelityBond,
  parseFidelityBond,
  proveFidelityBond,
  signBondCertificate,
  verifyBondCertificate,
  verifyBondNicks,
  verifyFidelityBond,
  type BondFault,
  type BondFormFault,
  type BondPolicy,
  type BondValueTerms,
  type FidelityBondProof,
  type OwnBond,
} from './protocol/fidelity-bond.js';
export {
  formatBondFile,
  ownBondFault,
  parseBondFile,
  type BondFile,
  type OwnBondFault,
} from './protocol/own-bond.js';
export type { Parsed } from './protocol/result.js';
