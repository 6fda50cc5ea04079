/** Names the way that a message took. */
import type { Route } from '../channel/channel-api.js';
import { formatLocation } from '../protocol/location.js';

/** One name for all direct links, because a peer can use any number of nicks on them. */
export const linkName = (route: Route): string =>
  route.kind === 'direct' ? 'direct' : formatLocation(route.location);
