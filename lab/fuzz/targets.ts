/** All targets, by name. */
import type { Seeds } from './seeds.js';
import type { Target } from './target.js';
import { bencodeTarget } from './targets/bencode.js';
import { bitcoinTarget } from './targets/bitcoin.js';
import { bondTarget } from './targets/bond.js';
import { cfgTarget } from './targets/cfg.js';
import { clusterTarget } from './targets/cluster.js';
import { directoryListsTarget } from './targets/directory-lists.js';
import { directoryTarget } from './targets/directory.js';
import { envelopeTarget } from './targets/envelope.js';
import { framerTarget } from './targets/framer.js';
import { directoryHandshakeTarget, handshakeTarget } from './targets/handshake.js';
import { llarpTarget } from './targets/llarp.js';
import { llarpWireTarget } from './targets/llarp-wire.js';
import { letheanTarget } from './targets/lethean.js';
import { letheanWaysTarget } from './targets/lethean-ways.js';
import { lokinetTarget } from './targets/lokinet.js';
import { messageTarget } from './targets/message.js';
import { nodeAnswersTarget } from './targets/node-answers.js';
import { negotiationTarget } from './targets/negotiation.js';
import { nickAuthTarget } from './targets/nick-auth.js';
import { omqTarget } from './targets/omq.js';
import { operatorTarget } from './targets/operator.js';
import { overlaysTarget } from './targets/overlays.js';
import { peerlistTarget } from './targets/peerlist.js';
import { proxyLineTarget } from './targets/proxy-line.js';
import { scheduleTarget } from './targets/schedule.js';
import { statusTarget } from './targets/status.js';
import { controlTarget, socksTarget } from './targets/tor.js';
import { walletImportTarget } from './targets/wallet-import.js';
import { walletTarget } from './targets/wallet.js';

export function createTargets(seeds: Seeds): readonly Target[] {
  return [
    framerTarget(seeds),
    envelopeTarget(seeds),
    handshakeTarget(seeds),
    directoryHandshakeTarget(seeds),
    peerlistTarget(seeds),
    messageTarget(seeds),
    bondTarget(),
    bitcoinTarget(),
    nodeAnswersTarget(),
    nickAuthTarget(),
    negotiationTarget(),
    proxyLineTarget(),
    controlTarget(),
    socksTarget(),
    cfgTarget(seeds),
    directoryTarget(seeds),
    directoryListsTarget(),
    walletImportTarget(),
    walletTarget(),
    scheduleTarget(),
    overlaysTarget(),
    bencodeTarget(),
    omqTarget(),
    operatorTarget(),
    statusTarget(),
    clusterTarget(),
    letheanTarget(),
    letheanWaysTarget(),
    lokinetTarget(),
    llarpTarget(seeds),
    llarpWireTarget(),
  ];
}
