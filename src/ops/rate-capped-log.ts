import type { Log, LogFields } from '../channel/log.js';
import type { Clock } from '../channel/ports.js';

export interface RateCap {
  /** Lines with the same level and text that pass in one window. Default 5. */
  readonly lines?: number;
  /** Length of a window in milliseconds. Default 60,000. */
  readonly windowMs?: number;
  /** Different texts counted at a time; all others share one count. Default 256. */
  readonly texts?: number;
}

export interface RateCappedLog extends Log {
  /** Logs how many lines are held back and frees the timers. */
  close(): void;
}

type Level = 'debug' | 'info' | 'warn' | 'error';

interface Bucket {
  passed: number;
  held: number;
  /** Ends the window: logs how many lines were held back. */
  readonly finish: () => void;
  readonly cancel: () => void;
}

/**
 * A log that passes a repeated line only a few times a minute, and logs at the end of the minute how
 * many were held back. So a flood of messages cannot fill the disk. Lines are the same when level and
 * text are; fields are not compared, so put varying values into fields.
 */
export function createRateCappedLog(log: Log, clock: Clock, cap: RateCap = {}): RateCappedLog {
  const { lines = 5, windowMs = 60_000, texts = 256 } = cap;
  const buckets = new Map<string, Bucket>();

  const openWindow = (key: string, level: Level, text: string): Bucket => {
    const finish = (): void => {
      buckets.delete(key);
      if (bucket.held > 0) log[level](text, { repeated: bucket.held, seconds: windowMs / 1000 });
    };
    const bucket: Bucket = { passed: 0, held: 0, finish, cancel: clock.after(windowMs, finish) };
    buckets.set(key, bucket);
    return bucket;
  };

  const line =
    (level: Level) =>
    (text: string, fields?: LogFields): void => {
      const own = `${level} ${text}`;
      const shared = !buckets.has(own) && buckets.size >= texts;
      const key = shared ? level : own;
      const bucket =
        buckets.get(key) ?? openWindow(key, level, shared ? 'further lines held back' : text);
      if (bucket.passed < lines) {
        bucket.passed += 1;
        log[level](text, fields);
      } else {
        bucket.held += 1;
      }
    };

  return {
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    close() {
      for (const bucket of buckets.values()) {
        bucket.cancel();
        bucket.finish();
      }
    },
  };
}
