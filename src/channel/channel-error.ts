/** Misuse of the message channel by its caller. Input from the network never throws. */
export class ChannelError extends RangeError {
  override readonly name = 'ChannelError';
  constructor(
    readonly code: ChannelErrorCode,
    message: string,
  ) {
    super(message);
  }
}

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
