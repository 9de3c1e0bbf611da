/** A text of IRC as XMPP clients can take it. */
export interface Rendered {
  readonly text: string
  /** XHTML-IM body content (XEP-0071), only where the text was formatted. */
  readonly xhtml?: string
}

/** The 16 colours of mIRC that clients agree on. */
// biome-ignore format: a table
const palette = [
  'ffffff', '000000', '00007f', '009300', 'ff0000', '7f0000', '9c009c', 'fc7f00',
  'ffff00', '00fc00', '009393', '00ffff', '0000fc', 'ff00ff', '7f7f7f', 'd2d2d2',
]

/** More markup than this around one line is mischief; the text alone is shown then. */
const MAX_XHTML = 32 * 1024

// Everything XML 1.0 forbids or that has no meaning in a line of chat, lone surrogates included.
const special = /[\0-\x1f\x7f\ufffe\uffff]/
const forbidden = /[\0-\x08\x0a-\x1f\x7f\ufffe\uffff]/g
const codes =
  /\x03(?:(\d{1,2})(?:,(\d{1,2}))?)?|\x04(?:([0-9A-Fa-f]{6})(?:,([0-9A-Fa-f]{6}))?)?|[\x02\x0f\x11\x16\x1d\x1e\x1f]/g

/** The text without formatting codes and control characters. */
export function plainText(raw: string): string {
  const text = special.test(raw) ? raw.replace(codes, '').replace(forbidden, '') : raw
  return text.isWellFormed() ? text : text.toWellFormed()
}

/** Reads formatting codes (bold, italic, underline, strike, monospace, colours, reverse). Never throws. */
export function renderFormatting(raw: string): Rendered {
  if (!special.test(raw)) return { text: raw.isWellFormed() ? raw : raw.toWellFormed() }
  const text = plainText(raw)
  if (raw.search(codes) < 0) return { text }
  const xhtml = toXhtml(raw)
  return xhtml.includes('<') && xhtml.length <= MAX_XHTML ? { text, xhtml } : { text }
}

interface Style {
  bold: boolean
  italic: boolean
  underline: boolean
  strike: boolean
  mono: boolean
  reverse: boolean
  colour: string | undefined
  background: string | undefined
}
const unstyled = (): Style => ({
  bold: false,
  italic: false,
  underline: false,
  strike: false,
  mono: false,
  reverse: false,
  colour: undefined,
  background: undefined,
})
const toggles: Record<string, 'bold' | 'italic' | 'underline' | 'strike' | 'mono' | 'reverse'> = {
  '\x02': 'bold',
  '\x1d': 'italic',
  '\x1f': 'underline',
  '\x1e': 'strike',
  '\x11': 'mono',
  '\x16': 'reverse',
}

function toXhtml(raw: string): string {
  let style = unstyled()
  let result = ''
  let from = 0
  for (const code of raw.matchAll(codes)) {
    result += span(raw.slice(from, code.index), style)
    from = code.index + code[0].length
    style = nextStyle(style, code)
  }
  return result + span(raw.slice(from), style)
}

function nextStyle(style: Style, code: RegExpExecArray): Style {
  const char = code[0].charAt(0)
  const toggle = toggles[char]
  if (toggle !== undefined) return { ...style, [toggle]: !style[toggle] }
  if (char === '\x03') {
    if (code[1] === undefined) return { ...style, colour: undefined, background: undefined }
    return {
      ...style,
      colour: palette[Number(code[1])],
      background: code[2] === undefined ? style.background : palette[Number(code[2])],
    }
  }
  if (char === '\x04')
    return { ...style, colour: code[3], background: code[3] === undefined ? undefined : (code[4] ?? style.background) }
  return unstyled()
}

function span(part: string, style: Style): string {
  const text = escapeXml(plainText(part))
  if (text === '') return ''
  const css = cssOf(style)
  return css === '' ? text : `<span style='${css}'>${text}</span>`
}

function cssOf(style: Style): string {
  const rules: string[] = []
  const [colour, background] = style.reverse
    ? [style.background ?? 'ffffff', style.colour ?? '000000']
    : [style.colour, style.background]
  if (style.bold) rules.push('font-weight: bold')
  if (style.italic) rules.push('font-style: italic')
  if (style.underline || style.strike) {
    rules.push(
      `text-decoration: ${[style.underline && 'underline', style.strike && 'line-through'].filter(Boolean).join(' ')}`,
    )
  }
  if (style.mono) rules.push('font-family: monospace')
  if (colour !== undefined) rules.push(`color: #${colour.toLowerCase()}`)
  if (background !== undefined) rules.push(`background-color: #${background.toLowerCase()}`)
  return rules.join('; ')
}

const entities: Record<string, string> = { '<': '&lt;', '>': '&gt;', '&': '&amp;', '"': '&quot;', "'": '&#39;' }
const escapeXml = (text: string): string => text.replace(/[<>&"']/g, char => entities[char] ?? char)
