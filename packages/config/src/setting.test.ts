import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { knownLater } from './known-later.ts'
import { secret } from './options/secret.ts'
import { instanceSchema } from './schema.ts'
import { envName, settings } from './setting.ts'

test('a declaration yields option, variable, kind and secrecy', () => {
  const schema = z.object({
    irc: z.object({
      floodRate: z.number().min(0).default(2).describe('Lines a second.'),
      servers: z.array(z.string()).default([]).describe('Servers.').meta({ option: 'service.irc_server' }),
      webircPassword: secret(z.string().optional().describe('Password.')),
    }),
  })
  assert.deepEqual(
    settings(schema).map(({ option, env, kind, isList, isSecret, isRequired }) => ({
      option,
      env,
      kind,
      isList,
      isSecret,
      isRequired,
    })),
    [
      {
        option: 'irc.flood_rate',
        env: 'SPECTRUM_IRC_FLOOD_RATE',
        kind: 'number',
        isList: false,
        isSecret: false,
        isRequired: false,
      },
      {
        option: 'service.irc_server',
        env: 'SPECTRUM_SERVICE_IRC_SERVER',
        kind: 'string',
        isList: true,
        isSecret: false,
        isRequired: false,
      },
      {
        option: 'irc.webirc_password',
        env: 'SPECTRUM_IRC_WEBIRC_PASSWORD',
        kind: 'string',
        isList: false,
        isSecret: true,
        isRequired: false,
      },
    ],
  )
})

test('no description, or one name for two options, is refused', () => {
  assert.throws(() => settings(z.object({ a: z.object({ b: z.string() }) })), /a\.b has no description/)
  const twice = z.object({
    a: z.object({ bC: z.string().describe('One.') }),
    aB: z.object({ c: z.string().describe('Two.').meta({ option: 'a.b_c' }) }),
  })
  assert.throws(() => settings(twice), /a\.b_c is declared twice/)
})

test('no option is both acted on and known for later, and no two share a variable', () => {
  const claimed = settings(instanceSchema)
  const names = [...claimed.map(({ option }) => option), ...knownLater.map(({ option }) => option)]
  assert.deepEqual(names.toSorted(), [...new Set(names)].toSorted())
  const variables = [...claimed.map(({ env }) => env), ...knownLater.map(({ option }) => envName(option))]
  assert.equal(new Set(variables).size, variables.length)
})

test('every option of Spectrum 2 is known', () => {
  const original = `
    service jid server password port user group backend protocol pidfile portfile working_dir allowed_servers server_mode
      users_per_backend backend_host backend_port cert cert_password admin_jid admin_password reuse_old_backends
      idle_reconnect_time memory_collector_time more_resources enable_privacy_lists enable_xhtml enable_remove_buddy
      oob_replace_body oob_split max_room_list_size login_delay jid_escaping vip_only vip_message reconnect_all_users frontend
      web_directory web_url web_maximgsize backend_id irc_server irc_identify irc_send_pass irc_away_timeout eventloop
      verify_certs client_id client_secret join_room_nickname_label join_room_nickname_example join_room_room_label
      join_room_room_example join_room_server_label join_room_server_example
    vhosts vhost
    identity name category type
    registration enable_public_registration language instructions username_label password_label username_mask
      allowed_usernames auto_register encoding require_local_account notify_jid local_username_label local_account_server
      local_account_server_timeout needRegistration needPassword
    gateway_responder prompt label
    database type database server user password port prefix encryption_key vip_statement connectionstring
    logging config backend_config
    backend default_avatar avatars_directory no_vcard_fetch incoming_dir
    settings send_headlines stay_connected`
  const known = new Set([...settings(instanceSchema), ...knownLater].map(({ option }) => option))
  for (const block of original.trim().split(/\n(?= {4}\S)/)) {
    const [section, ...keys] = block.trim().split(/\s+/)
    for (const key of keys) assert.ok(known.has(`${section}.${key}`), `${section}.${key}`)
  }
  for (const section of ['proxy', 'purple', 'features']) assert.ok(known.has(`${section}.*`), section)
})
