import { randomUUID } from 'node:crypto'
import { type IncomingMessage, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import cors from '@fastify/cors'
import fastify, { type FastifyInstance, LogController } from 'fastify'
import type { Logger } from '../platform/log.ts'
import { parseNetworks } from '../platform/network-address.ts'
import type { Problem } from '../platform/problem.ts'
import type { HttpSettings } from '../settings/http.ts'
import type { ServiceSettings } from '../settings/service.ts'
import { refuseAmbiguousTarget, refuseOtherCodings, refuseRepeatedHeaders } from './ambiguity.ts'
import { boundBytesUnderWay } from './bytes-under-way.ts'
import { registerClient } from './client.ts'
import { createConnections } from './connections.ts'
import { registerJsonBody } from './json-body.ts'
import { problemBody, registerProblems, sendProblem } from './problems.ts'
import { ownPath, publicPath } from './public-path.ts'
import { badRequest, headersTooLarge, lateRequest, malformed, maxHeaderBytes, methodUnknown } from './refusals.ts'
import { securityHeaders } from './security-headers.ts'
import { registerStop } from './stop.ts'
import { traceIdOf, traceparentOf } from './trace-context.ts'
import { closeOperations, schemaController } from './validation.ts'
import { asksForWebSocket, registerWebSockets } from './web-sockets.ts'

/** A reader that takes nothing of its reply for this long is disconnected. */
const stalledAfterMs = 10_000

/** For routes that anybody may call, and so for each new one; a guard takes more. Sign-ins and passkeys take a few kilobytes. */
const publicBodyLimit = 16 * 1024

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Asked every few seconds by machines, and so logged at debug. */
    readonly isProbe?: boolean
  }
  interface FastifyRequest {
    /** The caller, for the log; set by authentication, null until then. */
    actor: { readonly kind: string; readonly id: string | null; readonly organizationId: string } | null
  }
  interface FastifyReply {
    /** 201, with the path of what was made as `Location`. */
    createdAt(path: string): FastifyReply
  }
}

/** A web server with limits, ids, logs and problem+json. It knows nothing of the product. */
export async function createHttpServer(
  log: Logger,
  settings: HttpSettings & Pick<ServiceSettings, 'SHUTDOWN_GRACE_SECONDS'>,
): Promise<FastifyInstance> {
  const headers = securityHeaders(settings.publicUrl)
  const path = publicPath(settings.publicUrl)
  const requestTimeout = settings.REQUEST_TIMEOUT_SECONDS * 1_000
  const connections = createConnections(log)
  const app = fastify({
    loggerInstance: log as never,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    bodyLimit: Math.min(publicBodyLimit, settings.BODY_LIMIT_BYTES),
    rewriteUrl: ({ url = '/' }) => ownPath(url, path),
    forceCloseConnections: 'idle',
    // X-Forwarded-Host and -Proto are ignored: PUBLIC_URL is where the service is. `request.client` is the caller.
    trustProxy: false,
    serverFactory: connections.serverOf(
      {
        maxHeaderSize: maxHeaderBytes,
        // Node's own refusal has no body and no headers: see refuseAmbiguous.
        requireHostHeader: false,
        shouldUpgradeCallback: asksForWebSocket,
        headersTimeout: Math.min(20_000, requestTimeout),
        // Node looks for late requests every 30 s by default: a limit of 1 s would mean up to 31.
        connectionsCheckingInterval: Math.min(5_000, requestTimeout),
      },
      // Against Slowloris: headers and body must arrive within this time. Idle connections are kept longer than load balancers keep theirs.
      { requestTimeout, keepAliveTimeout: 75_000, maxConnections: settings.MAX_CONNECTIONS },
    ),
    genReqId: requestId,
    childLoggerFactory: (logger, bindings, options, raw) => {
      const trace_id = traceIdOf(traceparentOf(raw))
      return logger.child(trace_id === undefined ? bindings : { ...bindings, trace_id }, options)
    },
    // The router's own limit for ids would return 414 where the schema says 422; the header limit bounds them anyway.
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: maxHeaderBytes },
    schemaController,
    // During a stop, calls on connections that are still open are served as usual (with Connection: close).
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => {
      // Not the error itself: its message holds the address with its query.
      request.log.info({ reason: error.code }, 'refused before routing')
      reply.headers(headers)
      return sendProblem(request, reply, badRequest.example) as never
    },
    clientErrorHandler: refuseNonHttp(headers, connections.afterReplies),
  }) as unknown as FastifyInstance
  app.decorateReply('createdAt', function (made) {
    return this.status(201).header('location', path + made)
  })
  // Like every other method that no route has: a body, which it may have, is not looked at.
  app.addHttpMethod('QUERY', { overrideExisting: true })
  registerClient(app, parseNetworks(settings.TRUSTED_PROXIES))
  registerHeadersAndLog(app, headers)
  boundBytesUnderWay(app, Math.min(stalledAfterMs, requestTimeout))
  registerJsonBody(app)
  registerProblems(app)
  closeOperations(app)
  registerWebSockets(app)
  registerStop(app, settings.SHUTDOWN_GRACE_SECONDS * 1_000)
  if (settings.CORS_ORIGINS.length > 0) await registerCors(app, settings.CORS_ORIGINS)
  // After CORS, so that browsers may read these refusals too.
  refuseAmbiguous(app)
  return app
}

async function registerCors(app: FastifyInstance, origins: readonly string[]): Promise<void> {
  await app.register(cors, {
    // Without credentials: the session cookie is for our own pages (same-site.ts); other pages send a bearer token.
    origin: origins.includes('*') ? '*' : [...origins],
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: [
      'authorization',
      'content-type',
      'idempotency-key',
      'if-none-match',
      'last-event-id',
      'traceparent',
      'x-request-id',
      'x-step-up',
    ],
    exposedHeaders: [
      'x-request-id',
      'location',
      'retry-after',
      'etag',
      'idempotency-replayed',
      'ratelimit',
      'ratelimit-policy',
    ],
    maxAge: 600,
    // Otherwise an OPTIONS call that is not a preflight would be refused in plain text.
    strictPreflight: false,
  })
}

/** The caller's X-Request-Id when it is harmless in a log, else a new one. */
function requestId(request: IncomingMessage): string {
  const given = request.headers['x-request-id']
  return typeof given === 'string' && /^[A-Za-z0-9_.:-]{1,128}$/.test(given) ? given : randomUUID()
}

/** Refuses a call that two readers could understand differently, before anything acts on it. */
function refuseAmbiguous(app: FastifyInstance): void {
  app.addHook('onRequest', (request, _reply, done) => {
    try {
      refuseRepeatedHeaders(request.raw.rawHeaders)
      refuseAmbiguousTarget(request.raw.url ?? '/')
      refuseOtherCodings(request.raw.headers['transfer-encoding'])
      // RFC 9112, 3.2. The value does not matter here: links are made with PUBLIC_URL.
      if (request.headers.host === undefined && request.raw.httpVersion === '1.1') {
        throw malformed('The Host header is missing. Send it once.')
      }
      done()
    } catch (error) {
      done(error as Problem)
    }
  })
  // For anything but 100-continue, Node itself would reply 417 without headers or body (RFC 9110, 10.1.1).
  app.server.on('checkExpectation', (request, response) => {
    delete request.headers.expect
    app.server.emit('request', request, response)
  })
}

function registerHeadersAndLog(app: FastifyInstance, headers: Readonly<Record<string, string>>): void {
  app.decorateRequest('actor', null)
  app.addHook('onRequest', (request, reply, done) => {
    reply.headers(headers).header('x-request-id', request.id)
    done()
  })
  app.addHook('onResponse', (request, reply, done) => {
    // Probes would be most of the lines of a quiet day.
    request.log[request.routeOptions.config.isProbe === true ? 'debug' : 'info'](
      {
        method: request.method,
        // The route, not the address: ids are in it only where a reader needs them, queries never.
        route: request.routeOptions.url ?? 'none',
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime * 100) / 100,
        ip: request.client.address,
        // Undefined is left out of the line.
        actor_kind: request.actor?.kind,
        actor_id: request.actor?.id,
      },
      'answered',
    )
    done()
  })
}

interface UnreadBytes extends NodeJS.ErrnoException {
  readonly rawPacket?: unknown
  readonly bytesParsed?: number
}

/** The line in which reading stopped. */
function unreadLine({ rawPacket, bytesParsed = 0 }: UnreadBytes): string {
  if (!Buffer.isBuffer(rawPacket)) return ''
  const from = rawPacket.subarray(0, bytesParsed).lastIndexOf('\n') + 1
  return rawPacket.subarray(from, from + 4_096).toString('latin1')
}

/** It begins like a request (RFC 9112, 3), if with an unknown method; TLS and other protocols do not. */
const requestLine = /^[\w!#$%&'*+.^`|~-]+ \S+ HTTP\/1\.\d\r?\n/

/** Replies to input that never became a request (RFC 9110, 15.5) in the same form as every refusal, then closes the connection. */
function refuseNonHttp(
  headers: Readonly<Record<string, string>>,
  afterReplies: (socket: Socket, act: () => void) => void,
) {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return function clientErrorHandler(this: FastifyInstance, error: NodeJS.ErrnoException, socket: Socket): void {
    if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) {
      socket.destroy()
      return
    }
    const problem =
      error.code === 'HPE_HEADER_OVERFLOW'
        ? headersTooLarge()
        : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
          ? lateRequest()
          : error.code === 'HPE_INVALID_METHOD' && requestLine.test(unreadLine(error))
            ? methodUnknown()
            : malformed()
    const { status } = problem
    const id = randomUUID()
    this.log.info({ request_id: id, status, reason: error.code }, 'refused before it became a request')
    const body = JSON.stringify(problemBody(problem, id))
    const refused =
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}content-type: application/problem+json\r\n` +
      `x-request-id: ${id}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`
    // The calls before it were understood: what they did, their caller must hear.
    afterReplies(socket, () => socket.end(refused))
  }
}
