/**
 * Settings of one instance: declared once, read from an unchanged Spectrum 2 `.cfg`, the environment and the command
 * line. The only reader of the environment in the project.
 *
 * A service's main calls {@link loadConfig} and hands the result on; nobody else asks for settings.
 */
export { builtInNetworks } from './backend.ts'
export { type CfgEntry, type CfgFile, readCfg } from './cfg.ts'
export { ConfigError } from './config-error.ts'
export { configurationDocs } from './docs.ts'
export { type KnownLater, knownLater } from './known-later.ts'
export { type LoadedConfig, type LoadOptions, loadConfig, type NetworkSchema } from './load.ts'
export { masterKeyBytes } from './master-key.ts'
export { secret } from './options/secret.ts'
export { printConfig } from './print.ts'
export { type Config, instanceSchema, type NetworkChoice } from './schema.ts'
export { type Setting, settings } from './setting.ts'
export { type WorkerCommand, workerCommand } from './worker-command.ts'
