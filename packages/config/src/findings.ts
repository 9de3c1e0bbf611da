import type { Given } from './given.ts'

/** Collects what is wrong, so that all of it can be said at once. */
export class Findings {
  readonly mistakes = new Set<string>()
  readonly warnings = new Set<string>()
  /** Those of the warnings that are about names nobody knows: one of them may be why something else is missing. */
  readonly unknown = new Set<string>()

  mistake(given: Pick<Given, 'option' | 'where'>, sentence: string): void {
    this.mistakes.add(line(given, sentence))
  }

  warn(given: Pick<Given, 'option' | 'where'>, sentence: string): void {
    this.warnings.add(line(given, sentence))
  }

  unknownOption(given: Pick<Given, 'option' | 'where'>, sentence: string): void {
    this.warn(given, sentence)
    this.unknown.add(line(given, sentence))
  }
}

function line({ option, where }: Pick<Given, 'option' | 'where'>, sentence: string): string {
  return where === `--${option}` ? `${where}: ${sentence}` : `${where}: ${option}: ${sentence}`
}
