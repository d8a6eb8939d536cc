import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { encodingFor, type FixedText, fixedText, sendFixedText } from './fixed-text.ts'
import { htmlPage, sendPage } from './html-page.ts'
import { publicPath } from './public-path.ts'

/**
 * What `vite build web` wrote: index.html and a few files beside it, which keep their names, and in assets/ files whose names
 * contain a hash of their contents.
 */
const builtFolder = join(import.meta.dirname, '../../../web/dist')

/** The first segments of the addresses that the web application draws; its own routes are in web/src/app/routes.tsx. */
export const webSegments = [
  'inbox',
  'overview',
  'callbacks',
  'audit',
  'settings',
  'sign-in',
  'setup',
  'password',
  'email',
] as const

// Everything it loads is its own, there is no inline script or style, and forms are sent by script. React and Base UI set
// styles through the object model, which a policy does not restrict. blob: shows images that were read with a token.
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; " +
  "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** Of the script that the browser keeps: it may fetch what it keeps, and runs nothing else. */
const workerPolicy =
  "default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const types: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml; charset=utf-8',
  '.json': 'application/json',
  '.woff2': 'font/woff2',
  '.png': 'image/png',
  '.webmanifest': 'application/manifest+json',
}

/** The name is a hash of the contents, so a changed file has another address. */
const forAYear = 'public, max-age=31536000, immutable'

const notBuilt = (path: string) =>
  htmlPage({
    title: 'HITL',
    body: `<h1>HITL</h1><p>The inbox is not built here; <code>npm start</code> and <code>node scripts/setup.mjs</code> build it.</p><p><a href="${path}/docs">Try the API</a> · <a href="${path}/redoc">Read about the API</a></p>`,
  })

/** The page names its files relative to itself, and is shown at addresses of any depth. */
async function readIndex(folder: string, path: string): Promise<FixedText> {
  const html = await readFile(join(folder, 'index.html'), 'utf8')
  return fixedText('text/html; charset=utf-8', html.replaceAll('="./', `="${path}/`))
}

/** The inbox at `/` and every address of its own, with its files. */
export async function registerWebApp(app: FastifyInstance, publicUrl: string, folder = builtFolder): Promise<void> {
  const path = publicPath(publicUrl)
  const hidden = { schema: { hide: true } }
  const addresses = ['/', ...webSegments.flatMap((segment) => [`/${segment}`, `/${segment}/*`])]
  if (!existsSync(join(folder, 'index.html'))) {
    const page = notBuilt(path)
    // Letters lead to most of them.
    for (const at of addresses) app.get(at, hidden, async (_request, reply) => sendPage(reply, page))
    return
  }
  const index = await readIndex(folder, path)
  for (const at of addresses) {
    app.get(at, hidden, async (request, reply) =>
      sendFixedText(request, reply.header('content-security-policy', policy), index),
    )
  }
  for (const name of await readdir(folder)) {
    const type = types[extname(name)]
    if (type === undefined) continue
    const content = await fixedText(type, await readFile(join(folder, name)))
    app.get(`/${name}`, hidden, async (request, reply) => {
      if (name.endsWith('.js')) reply.header('content-security-policy', workerPolicy)
      return sendFixedText(request, reply, content)
    })
  }
  const assets = join(folder, 'assets')
  const names = new Set(await readdir(assets))
  // Only what the folder held at the start is served, so no name can lead out of it.
  for (const name of names) {
    const type = types[extname(name)]
    if (type === undefined) continue
    const isCompressed = names.has(`${name}.br`) && names.has(`${name}.gz`)
    app.get(`/assets/${name}`, hidden, async (request, reply) => {
      const encoding = isCompressed ? encodingFor(request.headers['accept-encoding']) : 'identity'
      if (isCompressed) reply.header('vary', 'Accept-Encoding')
      if (encoding !== 'identity') reply.header('content-encoding', encoding)
      const suffix = encoding === 'identity' ? '' : encoding === 'br' ? '.br' : '.gz'
      return reply
        .type(type)
        .header('cache-control', forAYear)
        .send(await readFile(join(assets, name + suffix)))
    })
  }
}
