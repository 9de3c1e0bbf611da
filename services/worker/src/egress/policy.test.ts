import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EgressPolicy } from './policy.ts'

const plain = new EgressPolicy({ deny: [], allow: [], allowedPorts: [] })

const refused: Record<string, readonly string[]> = {
  'this network': ['0.0.0.0', '0.1.2.3'],
  private: ['10.0.0.1', '10.255.255.255', '172.16.0.1', '172.31.255.255', '192.168.0.1'],
  'carrier-grade NAT': ['100.64.0.1', '100.127.255.255'],
  loopback: ['127.0.0.1', '127.255.255.254', '::1'],
  'link-local and metadata': ['169.254.169.254', 'fe80::1', 'febf::1'],
  assignments: ['192.0.0.8', '192.88.99.1', '198.18.0.1', '198.19.255.255', '2001::1'],
  documentation: ['192.0.2.1', '198.51.100.1', '203.0.113.1', '2001:db8::1', '3fff::1'],
  'multicast and reserved': ['224.0.0.1', '239.1.1.1', '240.0.0.1', '255.255.255.255', 'ff02::1'],
  unspecified: ['::'],
  'IPv4-compatible and mapped': ['::127.0.0.1', '::ffff:127.0.0.1', '::ffff:8.8.8.8', '::ffff:7f00:1'],
  NAT64: ['64:ff9b::7f00:1', '64:ff9b::8.8.8.8', '64:ff9b:1::1'],
  '6to4': ['2002:7f00:1::1', '2002:808:808::1'],
  'unique local': ['fc00::1', 'fd12:3456::1'],
  'site-local': ['fec0::1'],
}

for (const [kind, addresses] of Object.entries(refused))
  test(`users may not name ${kind} addresses`, () => {
    for (const address of addresses) assert.equal(plain.refusal(address, 6667), 'private', address)
  })

test('public addresses beside the refused blocks are allowed', () => {
  const allowed = ['1.1.1.1', '9.255.255.255', '11.0.0.1', '100.63.255.255', '100.128.0.1', '172.15.0.1', '172.32.0.1']
  for (const address of [...allowed, '192.167.1.1', '223.255.255.255', '2606:4700::1111', '2a00::1', '2003::1'])
    assert.equal(plain.refusal(address, 6667), undefined, address)
})

test('what is no plain address is refused', () => {
  for (const address of ['', 'localhost', '127.1', '0x7f.1', '2130706433', 'fe80::1%eth0', '1.2.3.4.5'])
    assert.equal(plain.refusal(address, 1), 'invalid', address)
})

test('the operator denies blocks, allows some of them again, and lists ports', () => {
  const policy = new EgressPolicy({
    deny: ['8.8.0.0/16', '2606:4700::/32', '9.9.9.9'],
    allow: ['8.8.8.8', '10.1.0.0/16', 'fd00::/8'],
    allowedPorts: ['6660-6669', '6697'],
  })
  assert.equal(policy.refusal('8.8.4.4', 6667), 'denied')
  assert.equal(policy.refusal('8.8.8.8', 6667), undefined)
  assert.equal(policy.refusal('9.9.9.9', 6667), 'denied')
  assert.equal(policy.refusal('9.9.9.10', 6667), undefined)
  assert.equal(policy.refusal('2606:4700::1', 6697), 'denied')
  assert.equal(policy.refusal('10.1.2.3', 6697), undefined)
  assert.equal(policy.refusal('10.2.2.3', 6697), 'private')
  assert.equal(policy.refusal('fd00::5', 6697), undefined)
  for (const port of [22, 6659, 6670]) assert.equal(policy.refusal('1.1.1.1', port), 'port')
  for (const port of [6660, 6669]) assert.equal(policy.refusal('1.1.1.1', port), undefined)
  assert.equal(policy.refusal('127.0.0.1', 22), 'private')
  assert.deepEqual(policy.explain('127.0.0.1', 6667), {
    refused: 'address (private)',
    allowedBy: 'egress.allow = 127.0.0.1',
  })
  assert.deepEqual(policy.explain('8.8.4.4', 22), {
    refused: 'address (denied) and port',
    allowedBy: 'egress.allow = 8.8.4.4 and egress.allowed_ports = 22',
  })
  assert.deepEqual(policy.explain('1.1.1.1', 22), { refused: 'port', allowedBy: 'egress.allowed_ports = 22' })
  assert.equal(policy.refusal('10.1.2.3', 22), 'port')
})
