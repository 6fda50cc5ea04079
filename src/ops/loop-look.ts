/**
 * The interval at which the delay of the event loop is looked at, in milliseconds; it is part of each value.
 * At a tenth of it, looking costs a quiet directory more than its messages.
 */
export const LOOP_LOOK_MS = 100;
