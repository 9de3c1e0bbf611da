import { type IrcServer, startInspircd, startNgircd } from '@spectrum/stack'

/** The real servers that every conversation is held on. */
export const servers: readonly { readonly name: string; start(options?: { password?: string }): Promise<IrcServer> }[] =
  [
    { name: 'ngircd', start: startNgircd },
    { name: 'inspircd', start: startInspircd },
  ]
