// The programs that are measured against or measured with: installed, else Debian's packages unpacked (see test/stack).

import { expand, findInspircd, findNgircd, findProgram } from '@spectrum/stack'

/** What a peer's executable is and which Debian package holds it; any other command is run as it stands. */
const peers = {
  biboumi: {
    name: 'biboumi',
    debianPath: 'usr/bin/biboumi',
    packages: ['biboumi'],
    versionArgs: ['--help'],
    recognise: output => output.includes('biboumi'),
    what: 'biboumi (Debian package biboumi)',
  },
}

/** The command and environment to start `name` with. */
export async function findPeer(name) {
  if (peers[name] === undefined) return { command: name, env: {} }
  return findProgram(peers[name])
}

/** An IRC server, and the folder of its modules where it has one. */
export async function findIrcd(kind) {
  const program = await (kind === 'inspircd' ? findInspircd() : findNgircd())
  const [moduleDir] = [
    ...(await expand(program.root, 'usr/lib/inspircd/modules')),
    ...(await expand(program.root, 'usr/lib/*-linux-gnu*/inspircd/modules')),
  ]
  return { ...program, moduleDir }
}
