/**
 * `onionmc/llarp`: LLARP v0, a protocol of 2018 that no network speaks any more, as a library and a laboratory
 * (docs/llarp.md). **It gives nobody privacy**: nobody has reviewed this code, and a laboratory has no other users.
 * Never use it in place of Tor.
 */

// Structures and messages, from bytes and as bytes
export { readLlarp, writeLlarp, LLARP_LIMITS } from './llarp/read.js';
export type { Field } from './llarp/codec/field.js';
export {
  ADDRESS_INFO,
  EXIT_INFO,
  EXIT_ROUTE,
  INTRODUCTION,
  INTROSET,
  PROOF_OF_WORK,
  RELAY_RECORD,
  ROUTER_CONTACT,
  SERVICE_INFO,
  TRAFFIC_POLICY,
  type Introduction,
  type Introset,
  type RouterContact,
  type ServiceInfo,
} from './llarp/structures.js';
export { LINK_MESSAGE, type LinkMessage } from './llarp/link-messages.js';
export {
  HIDDEN_SERVICE_DATA,
  HIDDEN_SERVICE_FRAME,
  ROUTING_MESSAGE,
  type HiddenServiceData,
  type HiddenServiceFrame,
  type RoutingMessage,
} from './llarp/routing-messages.js';
export { DHT_MESSAGE, type DhtMessage } from './llarp/dht-messages.js';
export { STATE_MESSAGE, type StateMessage } from './llarp/state-messages.js';
export { inspectLlarp, type Inspection, type Shown } from './llarp/inspect.js';

// Cryptography
export type { ExchangeKeys, SigningKeys } from './llarp/crypto.js';
export { sealFrame, openFrame } from './llarp/frame.js';
export { passHop, unwrapDownstream, wrapUpstream, type Layered } from './llarp/onion.js';
export {
  sntrupDecapsulate,
  sntrupEncapsulate,
  sntrupKeyPair,
  type Encapsulated,
  type SntrupKeyPair,
} from './llarp/sntrup/kem.js';
export { isSignedBy, signed } from './llarp/signed.js';

// Routers of a laboratory
export { LlarpNode, type LlarpNodeOptions } from './llarp/node.js';
export { newRouterKeys, type RouterKeys } from './llarp/router/contact.js';

// Hidden services and their streams
export {
  addressOfService,
  makeIntroset,
  newServiceKeys,
  type ServiceKeys,
} from './llarp/service/keys.js';
export { StreamService, type StreamServiceOptions } from './llarp/stream-service.js';
export { Stream, type StreamFault, type StreamHandlers } from './llarp/stream/stream.js';
