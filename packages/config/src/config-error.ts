/** The configuration cannot be used. The message has one line for each mistake, and no secret. */
export class ConfigError extends Error {
  override name = 'ConfigError'
  /** Each `where: section.key: sentence`; `where` is `file:line`, an environment variable or a flag. */
  readonly mistakes: readonly string[]

  constructor(mistakes: readonly string[]) {
    super(mistakes.join('\n'))
    this.mistakes = mistakes
  }
}
