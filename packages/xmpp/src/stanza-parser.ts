import { EventEmitter } from 'node:events'
import { Element } from 'ltx'
import { XmlTokenizer } from './xml-tokenizer.ts'

/** Bounds on what one stanza may be. */
export interface ParserLimits {
  /** Levels of elements below the stanza's own. Default 64. */
  readonly maxDepth: number
  /** Characters of text, names and attributes in one stanza, which is at least a third of its bytes. */
  readonly maxStanzaLength: number
  /** Characters of one tag; beyond that the stream is given up. */
  readonly maxPendingLength: number
}

/** Why a stanza was emptied while it was read. */
export type Excess = 'too-deep' | 'too-large'

/** What came is not XML, or never ends. The stream cannot go on. */
export class StreamParseError extends Error {
  override name = 'StreamParseError'
}

/**
 * Cuts an XML stream into stanzas, in the shape that the stream library asks of its parsers: `write`, `end`, and the events
 * `start` (the stream's root), `element` (one stanza), `end` and `error`. Nothing that is written makes it throw.
 *
 * A stanza beyond the limits is read to its end but not kept: it arrives without children, and {@link excessOf} says why.
 */
export class StanzaParser extends EventEmitter {
  readonly #limits: ParserLimits
  readonly #tokenizer: XmlTokenizer
  #root: Element | undefined
  /** The element being filled: the root between stanzas. */
  #cursor: Element | undefined
  #stanza: Element | undefined
  #depth = 0
  #length = 0
  #excess: Excess | undefined
  #isOver = false

  constructor(limits: ParserLimits) {
    super()
    this.#limits = limits
    this.#tokenizer = new XmlTokenizer({
      onStart: (name, attributes) => this.#onStart(name, attributes),
      onEnd: name => this.#onEnd(name),
      onText: text => this.#onText(text),
    })
  }

  write(data: string): void {
    if (this.#isOver) return
    try {
      this.#tokenizer.write(data)
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : String(error))
    }
    if (this.#tokenizer.pending > this.#limits.maxPendingLength) this.#fail('what arrives has no end')
  }

  end(data?: string): void {
    if (data !== undefined) this.write(data)
  }

  #onStart(name: string, attributes: Record<string, string>): void {
    if (this.#isOver) return
    if (this.#root === undefined) {
      this.#root = this.#cursor = new Element(name, attributes)
      this.emit('start', this.#root)
      return
    }
    this.#depth++
    if (this.#stanza === undefined) {
      this.#stanza = this.#cursor = new Element(name, attributes)
      this.#stanza.parent = this.#root
      this.#length = 0
    }
    this.#grow(name.length, attributes)
    if (this.#excess !== undefined || this.#depth === 1) return
    if (this.#depth > this.#limits.maxDepth) this.#empty('too-deep')
    else this.#cursor = (this.#cursor as Element).cnode(new Element(name, attributes)) as Element
  }

  #grow(length: number, attributes: Record<string, string>): void {
    this.#length += length
    for (const key in attributes) this.#length += key.length + (attributes[key] as string).length
    if (this.#length > this.#limits.maxStanzaLength) this.#empty('too-large')
  }

  #onText(text: string): void {
    if (this.#isOver) return
    // Between stanzas servers send whitespace to keep connections open.
    if (this.#stanza === undefined || this.#excess !== undefined) return
    this.#length += text.length
    if (this.#length > this.#limits.maxStanzaLength) this.#empty('too-large')
    else (this.#cursor as Element).t(text)
  }

  #empty(reason: Excess): void {
    if (this.#excess !== undefined) return
    this.#excess = reason
    const stanza = this.#stanza as Element
    stanza.children = []
    this.#cursor = stanza
  }

  #onEnd(name: string): void {
    if (this.#isOver) return
    if (this.#depth === 0) {
      if (this.#root?.name !== name) {
        this.#fail('an end without a start')
        return
      }
      // What follows the end of the stream is nothing that anybody listens for.
      this.#isOver = true
      this.emit('end', this.#root)
      return
    }
    this.#depth--
    if (this.#excess === undefined && (this.#cursor as Element).name !== name) {
      this.#fail('elements overlap')
      return
    }
    if (this.#depth > 0) {
      if (this.#excess === undefined) this.#cursor = (this.#cursor as Element).parent as Element
      return
    }
    const stanza = this.#stanza as Element
    const excess = this.#excess
    this.#stanza = this.#excess = undefined
    this.#cursor = this.#root
    if (excess !== undefined) excesses.set(stanza, excess)
    this.emit('element', stanza)
  }

  #fail(reason: string): void {
    if (this.#isOver) return
    this.#isOver = true
    this.emit('error', new StreamParseError(`The stream from the XMPP server cannot be read: ${reason}.`))
  }
}

const excesses = new WeakMap<Element, Excess>()

/** Why the parser emptied this stanza, `undefined` for one that is whole. */
export const excessOf = (stanza: Element): Excess | undefined => excesses.get(stanza)
