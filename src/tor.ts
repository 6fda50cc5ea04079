/**
 * `onionmc/tor`: a Tor's control port, onion services, onion keys and Tor programs of one's own. A peer or
 * a directory needs none of these: `torOverlay` of `onionmc` puts them together.
 */

// The control port
export {
  connectControl,
  controlClientOver,
  type CommandOptions,
  type ConnectControlOptions,
  type ControlClient,
} from './tor/control/client.js';
export { parseControlEndpoint, type ControlEndpoint } from './tor/control/endpoint.js';
export type { Reply } from './tor/control/reply.js';

// Onion services and their keys
export {
  startOnionService,
  type OnionIdentity,
  type OnionService,
  type OnionServiceOptions,
} from './tor/onion/service.js';
export type { PowQueue } from './tor/onion/add-onion.js';
export {
  loadOrCreateOnionKey,
  readOnionKey,
  type KeyOwner,
  type OnionKey,
} from './tor/onion/key-folder.js';

// A tor program of one's own
export {
  startTorProcess,
  type TorProcess,
  type TorProcessOptions,
} from './tor/process/tor-process.js';

// The overlay with everything given by the caller
export { createTorOverlay, type TorOverlayOptions, type TorServing } from './overlay/tor.js';
export type { ListenAddress } from './overlay/listen.js';
export type { SocksEndpoint } from './tor/socks/dialer.js';

// Errors
export { SocksError, type SocksErrorCode } from './tor/socks/error.js';
export {
  TorError,
  type TorErrorDetails,
  type TorFault,
  type TorRemedy,
  type TorStep,
} from './tor/tor-error.js';
