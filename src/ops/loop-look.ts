/**
 * The interval at which the delay of the event loop is looked at, in milliseconds; it is part of each value.
 * Each look wakes the program up: a hundred in a second cost a quiet directory more than its messages.
 */
export const LOOP_LOOK_MS = 250;
