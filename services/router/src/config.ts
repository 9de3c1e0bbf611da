import { dirname, join } from 'node:path'
import { type Config, masterKeyBytes } from '@spectrum/config'
import type { Logger } from '@spectrum/network'
import type { StoreOptions } from '@spectrum/store'

/** What `[database]` and `[security]` mean for the store. */
export function storeOptions({ database, security, service }: Config, log: Logger): StoreOptions {
  const masterKey = security.masterKey === undefined ? undefined : masterKeyBytes(security.masterKey)
  return {
    // A JID of a domain has no slash, so a prefix can never make two instances one.
    instance: database.prefix === '' ? service.jid : `${database.prefix}/${service.jid}`,
    database: databaseOptions(database, service.jid),
    ...(masterKey ? { masterKey } : {}),
    log,
  }
}

function databaseOptions(database: Config['database'], jid: string): StoreOptions['database'] {
  switch (database.type) {
    case 'none':
      return { type: 'memory' }
    case 'sqlite3':
      // Named for the instance, as several may keep their databases in one folder.
      return { type: 'sqlite', file: database.database, keyFile: join(dirname(database.database), `${jid}.master.key`) }
    case 'pqxx': {
      if (database.connectionstring !== '') {
        return { type: 'postgresql', address: { connectionString: database.connectionstring } }
      }
      const { server: host, port, user, password } = database
      return { type: 'postgresql', address: { host, port: port || 5432, database: database.database, user, password } }
    }
  }
}
