// Makes the two Prisma clients out of the one models file: `npm run generate -w packages/store`. Works offline: generating
// needs no schema engine, but Prisma downloads one unless it is told that it has one, as the npm script does.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = import.meta.dirname
const prisma = join(dirname(fileURLToPath(import.meta.resolve('prisma/package.json'))), 'build/index.js')
const models = readFileSync(join(here, 'prisma/models.prisma'), 'utf8')

for (const provider of ['postgresql', 'sqlite']) {
  const schema = join(here, `../../.cache/prisma/${provider}/schema.prisma`)
  const output = join(here, 'src/gen', provider)
  mkdirSync(dirname(schema), { recursive: true })
  rmSync(output, { recursive: true, force: true })
  writeFileSync(schema, `${header(provider, output)}\n${models}`)
  execFileSync(process.execPath, [prisma, 'generate', '--schema', schema, '--no-hints'], {
    stdio: ['ignore', 'inherit', 'inherit'],
    cwd: here,
  })
}

function header(provider, output) {
  return `datasource db {
  provider = "${provider}"
}
generator client {
  provider               = "prisma-client"
  output                 = ${JSON.stringify(output)}
  runtime                = "nodejs"
  moduleFormat           = "esm"
  generatedFileExtension = "ts"
  importFileExtension    = "ts"
}
`
}
