import assert from 'node:assert/strict'
import { createHmac, timingSafeEqual } from 'node:crypto'
import { access, glob, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'
import { compileFunction } from 'node:vm'

/** What people paste from the guides, and where their links lead. */

const root = join(import.meta.dirname, '../..')
const read = (path: string): Promise<string> => readFile(join(root, path), 'utf8')
const guides: string[] = []
for await (const path of glob('{.,docs,docs/decisions,docs/guide,bench,examples/*}/*.md', { cwd: root }))
  guides.push(path)

test('the check of a signature in the README takes the right one, and refuses others without an exception', async () => {
  const code = [...(await read('README.md')).matchAll(/```js\n(.*?)```/gs)].map(([, block]) => block).join('')
  const genuine = compileFunction(`${code}; return genuine`, [
    'createHmac',
    'timingSafeEqual',
    'secret',
    'rawBody',
    'request',
  ])
  const rawBody = Buffer.from('{"event":"request.responded"}')
  const right = `sha256=${createHmac('sha256', 'a secret').update(rawBody).digest('hex')}`
  const of = (header: string | undefined) =>
    genuine(createHmac, timingSafeEqual, 'a secret', rawBody, { headers: { 'x-webhook-signature': header } })
  assert.equal(of(right), true)
  for (const wrong of [undefined, '', 'sha256=', right.slice(0, -1), `${right}0`, right.replace(/.$/, 'x'), 'é']) {
    assert.equal(of(wrong), false, String(wrong))
  }
})

test('docs/clients.md names the generators that the clients of the test are made with', async () => {
  const page = await read('docs/clients.md')
  const { dependencies, devDependencies } = JSON.parse(await read('e2e/clients/typescript/package.json'))
  const pinned = async (path: string, pattern: RegExp): Promise<string> => {
    const found = pattern.exec(await read(path))?.[1]
    assert.ok(found, path)
    return found
  }
  for (const named of [
    `openapi-typescript ${devDependencies['openapi-typescript']} with openapi-fetch ${dependencies['openapi-fetch']}`,
    `openapi-python-client ${await pinned('e2e/clients/python/requirements.txt', /^openapi-python-client==(\S+)/m)}`,
    `oapi-codegen ${await pinned('e2e/clients/go/go.mod', /oapi-codegen\/v2 (v\S+)/)}`,
    `openapi-generator ${await pinned('e2e/clients/java/pom.xml', /openapi-generator-maven-plugin<\/artifactId>\s*<version>(.*?)</)}`,
  ]) {
    assert.ok(page.includes(`| ${named}`), named)
  }
})

describe('every link within the repository leads somewhere', () => {
  for (const guide of guides) {
    test(guide, async () => {
      const text = (await read(guide)).replaceAll(/```.*?```|`[^`\n]*`/gs, '')
      for (const [, target = ''] of text.matchAll(/\]\((?![a-z]+:)([^)\s]+)\)/g)) {
        const [path, anchor] = target.split('#')
        const file = path ? join(dirname(guide), path) : guide
        await assert.doesNotReject(access(join(root, file)), `${target} is not there`)
        if (anchor) assert.ok(anchorsOf(await read(file)).has(anchor), `${target}: no such heading`)
      }
    })
  }
})

/** As GitHub makes them from headings. */
function anchorsOf(text: string): ReadonlySet<string> {
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading)
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}
