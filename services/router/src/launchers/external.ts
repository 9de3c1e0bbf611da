import type { Launcher } from './launcher.ts'

/** Somebody else starts workers: by the metric `spectrum_workers_wanted`, or by hand. */
export const externalLauncher: Launcher = {
  wanted: () => undefined,
  [Symbol.asyncDispose]: async () => undefined,
}
