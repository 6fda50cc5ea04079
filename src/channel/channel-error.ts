/** Misuse of the message channel by its caller. Input from the network never throws. */
export class ChannelError extends RangeError {
  /** Always `ChannelError`. */
  override readonly name = 'ChannelError';
  constructor(
    /** The fault of the call; stable. */
    readonly code: ChannelErrorCode,
    message: string,
  ) {
    super(message);
  }
}

/** Which argument of a call was wrong. */
export type ChannelErrorCode =
  /** No directory, or one that the overlay cannot reach. */
  | 'directories'
  /** Not a nick that can be routed. */
  | 'nick'
  /** Not a command that may be used here. */
  | 'command'
  /** Nothing after the command word. */
  | 'args-empty'
  /** Control characters, or blanks at an end. */
  | 'characters'
  /** Would not fit one line of 39,998 bytes. */
  | 'too-long';
