/** A promise that other code resolves or rejects. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: Error): void;
}

/** A new one. Only the first call of `resolve` or `reject` counts. */
export function deferred<T>(): Deferred<T> {
  const finish: { resolve?: (value: T) => void; reject?: (error: Error) => void } = {};
  const promise = new Promise<T>((resolve, reject) => {
    finish.resolve = resolve;
    finish.reject = reject;
  });
  return {
    promise,
    resolve: (value) => finish.resolve?.(value),
    reject: (error) => finish.reject?.(error),
  };
}
