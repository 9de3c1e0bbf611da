/** A Spectrum 2 option that is known and not acted on. */
export interface KnownLater {
  /** `section.key`, or `section.*` for all keys of a section that are not listed one by one. */
  readonly option: string
  /** Values that ask for nothing: the original's default, and what means the same. Empty: every value is reported. */
  readonly harmless: readonly string[]
  /** `refuse`: going on without it would change the mode, the database or the security, so the start is stopped. */
  readonly then: 'warn' | 'refuse'
  readonly isList: boolean
  /** Takes yes or no, and nothing else. */
  readonly isBoolean: boolean
  /** Follows `section.key: `. */
  readonly sentence: string
}

const notYet = 'is not acted on yet'
const outsideOnly = 'is not acted on yet: it concerns backends that run as programs of their own'
const libpurpleOnly = 'is not acted on: it concerns libpurple, which no built-in network uses'
const serverModeOnly = 'belongs to server mode, which is not available yet; remove it to run as a gateway'
const webOnly = 'is not acted on yet: received files are not kept on a web server'
const noUserSwitch = 'is not acted on: the process keeps the user it was started as'
const noSuchFile = 'is not acted on: no such file or folder is made'

const off = ['0']
const on = ['1']
const empty = ['']

/** Every option of Spectrum 2 that {@link instanceSchema} does not declare. */
export const knownLater: readonly KnownLater[] = [
  refuse(
    'service.server_mode',
    off,
    'asks for server mode, which is not available yet; set it to 0 to run as a gateway',
  ),
  refuse('service.cert', empty, serverModeOnly),
  refuse('service.cert_password', empty, serverModeOnly),
  warn('service.admin_password', empty, 'is not acted on: it belongs to server mode'),
  refuse('service.frontend', ['', 'xmpp'], 'asks for another frontend than XMPP, which is not available yet'),
  refuse('service.vip_only', off, 'would let only some users in, which is not available yet'),
  warn('service.vip_message', empty, notYet),
  warn('service.user', empty, noUserSwitch),
  warn('service.group', empty, noUserSwitch),
  warn('service.pidfile', ['', '/var/run/spectrum2/$jid.pid'], noSuchFile),
  warn('service.portfile', ['', '/var/run/spectrum2/$jid.port'], noSuchFile),
  warn('service.working_dir', ['', '/var/lib/spectrum2/$jid'], noSuchFile),
  warn('service.backend_host', ['', '127.0.0.1', 'localhost'], outsideOnly),
  warn('service.backend_port', ['', '0'], outsideOnly),
  warn('service.backend_id', empty, outsideOnly),
  warn('service.more_resources', off, notYet),
  warn('service.enable_privacy_lists', on, libpurpleOnly),
  warn('service.enable_xhtml', on, notYet),
  warn('service.enable_remove_buddy', off, notYet),
  warn('service.oob_replace_body', on, notYet),
  warn('service.oob_split', off, notYet),
  warn('service.max_room_list_size', ['100'], notYet),
  warn('service.reconnect_all_users', off, notYet),
  warn('service.web_directory', empty, webOnly),
  warn('service.web_url', empty, webOnly),
  warn('service.web_maximgsize', ['1000000'], webOnly),
  warn('service.eventloop', empty, libpurpleOnly),
  warn('service.verify_certs', off, libpurpleOnly),
  warn('service.client_id', empty, 'is not acted on: it belongs to the Slack frontend'),
  warn('service.client_secret', empty, 'is not acted on: it belongs to the Slack frontend'),
  ...['nickname', 'room', 'server'].flatMap(field => [
    warn(`service.join_room_${field}_label`, empty, 'is not acted on: it belongs to the Slack frontend'),
    warn(`service.join_room_${field}_example`, empty, 'is not acted on: it belongs to the Slack frontend'),
  ]),
  warn('service.irc_server', empty, notYet, { isList: true }),
  warn('service.irc_identify', ['', 'NickServ identify $password'], notYet),
  warn('service.irc_send_pass', off, notYet),
  warn('service.irc_away_timeout', ['60'], notYet),
  warn('vhosts.vhost', empty, 'is not acted on: run one instance for each JID', { isList: true }),
  refuse(
    'registration.require_local_account',
    off,
    'would ask for a local account before registering, which is not available yet',
  ),
  warn('registration.local_username_label', ['', 'Local username:'], notYet),
  warn('registration.local_account_server', ['', 'localhost'], notYet),
  warn('registration.local_account_server_timeout', ['10000'], notYet),
  warn('registration.encoding', ['', 'utf8', 'utf-8'], 'is not acted on: everything is UTF-8'),
  warn('registration.notify_jid', empty, notYet, { isList: true }),
  warn('registration.needRegistration', [], notYet),
  warn('registration.needPassword', [], notYet),
  warn('registration.extraField', [], notYet, { isList: true }),
  warn('gateway_responder.prompt', ['', 'Contact ID'], notYet),
  warn('gateway_responder.label', ['', 'Enter legacy network contact ID.'], notYet),
  warn(
    'database.encryption_key',
    empty,
    'is not acted on: stored credentials are always sealed, with security.master_key',
  ),
  warn('database.vip_statement', empty, notYet),
  warn('logging.config', empty, 'is not acted on: lines go to standard output, log.level says how many'),
  warn('logging.backend_config', empty, 'is not acted on: lines go to standard output, log.level says how many'),
  warn('backend.default_avatar', empty, notYet),
  warn('backend.avatars_directory', empty, notYet),
  warn('backend.no_vcard_fetch', off, notYet),
  warn('backend.incoming_dir', empty, outsideOnly),
  warn('settings.send_headlines', off, notYet),
  warn('proxy.*', empty, libpurpleOnly),
  warn('purple.*', [], libpurpleOnly),
  warn('features.*', [], 'is not acted on: features follow from what the network can do'),
]

/** Values of an option that is acted on, but not with this value yet. */
export const refusedValues: readonly { readonly option: string; readonly value: string; readonly sentence: string }[] =
  [
    {
      option: 'database.type',
      value: 'mysql',
      sentence: 'MySQL is not available yet; use sqlite3 or pqxx (PostgreSQL)',
    },
  ]

/** The entry for `section.key`, or the one for its whole section. */
export function findKnownLater(option: string): KnownLater | undefined {
  const section = `${option.split('.', 1)[0]}.*`
  return knownLater.find(known => known.option === option) ?? knownLater.find(known => known.option === section)
}

/** Whether the value asks for nothing. `$jid` in `known` must have been replaced as it was in `value`. */
export function isHarmless(known: KnownLater, value: string, jid: string): boolean {
  return known.harmless.some(harmless => sameWord(harmless.replaceAll('$jid', jid)) === sameWord(value))
}

function sameWord(value: string): string {
  const word = value.toLowerCase()
  if (word === 'yes' || word === 'on' || word === 'true') return '1'
  if (word === 'no' || word === 'off' || word === 'false') return '0'
  return word
}

/** Numbers have lists of their own, though they be the same word. */
function isSwitch(harmless: readonly string[]): boolean {
  return harmless === off || harmless === on
}

function warn(option: string, harmless: readonly string[], sentence: string, { isList = false } = {}): KnownLater {
  return { option, harmless, then: 'warn', isList, isBoolean: isSwitch(harmless), sentence }
}

function refuse(option: string, harmless: readonly string[], sentence: string): KnownLater {
  return { option, harmless, then: 'refuse', isList: false, isBoolean: isSwitch(harmless), sentence }
}
