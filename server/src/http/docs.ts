import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type FixedText, fixedText, sendFixedText } from './fixed-text.ts'
import { sendPage } from './html-page.ts'
import { ofInstallation } from './openapi.ts'
import type { Document } from './openapi-document.ts'
import { publicPath } from './public-path.ts'

const redocFile = createRequire(import.meta.url).resolve('redoc/bundles/redoc.standalone.js')

const redocLogo = encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="14"><text y="11" font-family="sans-serif" font-size="12" fill="#0044d4">ReDoc</text></svg>',
)

/** ReDoc without its requests to another origin, for its logo and icons. */
async function redocBundle(): Promise<Buffer> {
  const script = await readFile(redocFile, 'utf8')
  return Buffer.from(
    script.replaceAll(/https:\/\/cdn\.redoc(?:\.ly|ly\.com)\/[^`'"]*/g, `data:image/svg+xml,${redocLogo}`),
  )
}

// Each scheme of "Authorize" takes the focus, the last one keeps it, and the dialog opened scrolled down to that.
const swaggerStart = `let shown = null
new MutationObserver(() => {
  const dialog = document.querySelector('.dialog-ux .modal-ux-content')
  if (dialog !== null && dialog !== shown) {
    dialog.querySelector('input')?.focus()
    dialog.scrollTop = 0
  }
  shown = dialog
}).observe(document.getElementById('swagger-ui'), { childList: true, subtree: true })
`

// Nothing is loaded from elsewhere, and nothing is sent elsewhere.
const redocPolicy =
  "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; " +
  "connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// The plugin's own policy would allow fonts and styles from anywhere, and its upgrade-insecure-requests would break the
// page over plain HTTP. Swagger UI sets styles inline.
const swaggerPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; " +
  "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const redocPage = (path: string): string => `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>HITL API</title><meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,"></head>
<body><div id="redoc"></div><script type="module" src="${path}/redoc/start.js"></script></body>
</html>
`
const redocStart = (path: string): string => `import { init } from '${path}/redoc/redoc.js'
init('${path}/openapi.json', { disableTelemetry: true, hideDownloadButton: true }, document.getElementById('redoc'))
`

/** Made from the routes by `npm run openapi`, which `npm run check` compares. To make it here would stop a process for 1.5 s. */
const documentFile = new URL('../../../openapi.json', import.meta.url)
/** Where its examples are. */
const exampleUrl = 'http://localhost:8000'

async function documentOf(publicUrl: string): Promise<string> {
  const text = await readFile(documentFile, 'utf8')
  const document = JSON.parse(text.replaceAll(exampleUrl, publicUrl)) as Document
  const { servers, securitySchemes } = ofInstallation(publicUrl)
  return JSON.stringify({ ...document, servers, components: { ...document.components, securitySchemes } })
}

/** `/docs` (Swagger UI), `/redoc` and `/openapi.json`. */
export async function registerDocs(app: FastifyInstance, publicUrl: string): Promise<void> {
  const path = publicPath(publicUrl)
  let document: Promise<FixedText> | null = null
  const sendDocument = async (request: FastifyRequest, reply: FastifyReply, type = 'application/json') => {
    document ??= documentOf(publicUrl).then((text) => fixedText('application/json', text))
    return sendFixedText(request, reply, { ...(await document), type })
  }
  await app.register(async (docs) => {
    // The plugin would make the document anew. JSON is YAML (YAML 1.2.2, 1.1).
    docs.addHook('onRequest', async (request, reply) => {
      const { url } = request.routeOptions
      if (url === '/docs/json') return sendDocument(request, reply)
      if (url === '/docs/yaml') return sendDocument(request, reply, 'application/yaml')
    })
    // The plugin redirects from its index.html.
    docs.addHook('onSend', async (_request, reply) => {
      const location = reply.getHeader('location')
      if (typeof location === 'string') reply.header('location', path + location)
    })
    await docs.register(swaggerUi, {
      routePrefix: '/docs',
      indexPrefix: path,
      staticCSP: swaggerPolicy,
      theme: { title: 'HITL API', js: [{ filename: 'start.js', content: swaggerStart }] },
      uiConfig: {
        layout: 'BaseLayout',
        persistAuthorization: true,
        displayRequestDuration: true,
        tryItOutEnabled: true,
      },
    })
  })
  const hidden = { schema: { hide: true } }
  let bundle: Promise<Buffer> | null = null
  for (const at of ['/openapi.json', '/api/v1/openapi.json']) {
    app.get(at, hidden, (request, reply) => sendDocument(request, reply))
  }
  app.get('/redoc', hidden, async (_request, reply) => sendPage(reply, { html: redocPage(path), policy: redocPolicy }))
  app.get('/redoc/start.js', hidden, async (_request, reply) =>
    reply.type('text/javascript; charset=utf-8').send(redocStart(path)),
  )
  app.get('/redoc/redoc.js', hidden, async (_request, reply) => {
    bundle ??= redocBundle()
    return reply
      .type('text/javascript; charset=utf-8')
      .header('cache-control', 'max-age=86400')
      .send(await bundle)
  })
}
