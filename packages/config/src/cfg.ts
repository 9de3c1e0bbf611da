/** One `key = value` line. */
export interface CfgEntry {
  /** `section.key`; just `key` above the first section. */
  readonly option: string
  readonly value: string
  readonly file: string
  /** Counted from 1. */
  readonly line: number
}

export interface CfgFile {
  /** In the order of the file; a repeated key stands there as often as it was written. */
  readonly entries: readonly CfgEntry[]
  /** Lines that are neither section nor `key = value`, each as `file:line: sentence`. */
  readonly mistakes: readonly string[]
}

/**
 * Reads a Spectrum 2 configuration file by the rules of the original: `[section]`, `key = value` parted at the first
 * `=`, `#` begins a comment anywhere in a line (a value cannot contain it), blanks around keys and values do not count,
 * nothing is quoted, continued or included. Which keys exist and what they mean is not decided here.
 */
export function readCfg(text: string, file: string): CfgFile {
  const entries: CfgEntry[] = []
  const mistakes: string[] = []
  let prefix = ''
  for (const [index, written] of text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    const content = trim(written.split('#', 1)[0] ?? '')
    if (content === '') continue
    const line = index + 1
    const equals = content.indexOf('=')
    if (content.startsWith('[') && content.endsWith(']')) {
      const section = trim(content.slice(1, -1))
      if (section === '') mistakes.push(`${file}:${line}: a section needs a name between [ and ]`)
      prefix = section === '' || section.endsWith('.') ? section : `${section}.`
    } else if (equals > 0) {
      const option = prefix + trim(content.slice(0, equals))
      entries.push({ option, value: trim(content.slice(equals + 1)), file, line })
    } else {
      // The line is not quoted: it may be the rest of a password.
      mistakes.push(`${file}:${line}: this line is neither [section] nor key = value`)
    }
  }
  return { entries, mistakes }
}

/** Blanks as the original knows them; String.trim would also take no-break spaces out of a password. */
function trim(text: string): string {
  return text.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, '')
}
