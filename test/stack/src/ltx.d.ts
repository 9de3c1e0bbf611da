declare module 'ltx' {
  /** An XML element; children are elements and text. */
  export class Element {
    constructor(name: string, attrs?: Record<string, string>)
    name: string
    parent: Element | null
    children: (Element | string)[]
    attrs: Record<string, string>
    getName(): string
    getNS(): string | undefined
    getChild(name: string, xmlns?: string): Element | undefined
    getChildren(name: string, xmlns?: string): Element[]
    getChildElements(): Element[]
    getChildText(name: string, xmlns?: string): string | null
    getText(): string
    is(name: string, xmlns?: string): boolean
    cnode(child: Element): Element
    t(text: string): Element
    toString(): string
  }
  /** The events of a document as it is read. */
  export class SaxParser {
    on(event: 'startElement', listener: (name: string, attrs: Record<string, string>) => void): this
    on(event: 'endElement' | 'text', listener: (value: string) => void): this
    on(event: 'error', listener: (error: Error) => void): this
    write(data: string): void
  }
  export function parse(text: string): Element
  export function escapeXML(text: string): string
}
declare module 'ltx/src/parsers/ltx.js' {
  export { SaxParser as default } from 'ltx'
}
