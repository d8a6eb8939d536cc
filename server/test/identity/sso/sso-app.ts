import assert from 'node:assert/strict'
import { type CallOptions, type Reply, startTestApp, type TestApp } from '../../harness.ts'
import {
  clientId,
  clientSecret,
  type OpenIdProvider,
  type ProvidedPerson,
  startOpenIdProvider,
} from './openid-provider.ts'

export const publicUrl = 'https://hitl.example.com'

/** An app that may call providers on this machine. A sign-in stays fresh for a day of its clock. */
export function startSsoApp(): Promise<TestApp> {
  return startTestApp({
    environment: {
      PUBLIC_URL: publicUrl,
      SSO_ALLOW: '127.0.0.0/8',
      RATE_LIMIT_ADDRESS: 'off',
      STEP_UP_FRESH_MINUTES: '1440',
    },
  })
}

/** The cookies of a browser. */
export interface Browser {
  readonly cookies: Map<string, string>
  call(method: string, path: string, options?: CallOptions): Promise<Reply>
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Reply>
}

export function createBrowser(t: TestApp): Browser {
  const cookies = new Map<string, string>()
  const call: Browser['call'] = async (method, path, options = {}) => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const headers = { ...options.headers, ...(cookie === '' ? {} : { cookie }) }
    const reply = await t.call(method, path, { ...options, headers })
    for (const line of setCookies(reply)) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value === '') cookies.delete(name)
      else cookies.set(name, value)
    }
    return reply
  }
  return { cookies, call, get: (path, headers = {}) => call('GET', path, { headers }) }
}

export function setCookies(reply: Reply): readonly string[] {
  return [reply.headers['set-cookie'] ?? []].flat().map(String)
}

export const flowCookieName = '__Host-hitl_sso'
export const sessionCookieName = '__Host-hitl_session'

/** A running provider and its settings in the service. */
export interface TestProvider {
  readonly id: string
  readonly op: OpenIdProvider
  /** Changes settings as the administrator `as`. */
  change(settings: Readonly<Record<string, unknown>>, as?: string): Promise<Reply>
}

export async function addProvider(
  t: TestApp,
  settings: Readonly<Record<string, unknown>> = {},
  more: { readonly op?: OpenIdProvider; readonly as?: string } = {},
): Promise<TestProvider> {
  const op = more.op ?? (await startOpenIdProvider())
  const as = more.as ?? t.admin.token
  const body = {
    name: 'Accounts',
    issuer: op.issuer,
    client_id: clientId,
    client_secret: clientSecret,
    scopes: ['email', 'profile', 'groups'],
    ...settings,
  }
  const reply = await t.call('POST', '/api/v1/identity-providers', { as, body })
  if (reply.status !== 201 && more.op === undefined) await op.close()
  assert.equal(reply.status, 201, reply.text)
  op.register(...op.redirectUris, reply.body.redirect_uri)
  const id: string = reply.body.id
  return {
    id,
    op,
    change: (changes, by = as) => t.call('PATCH', `/api/v1/identity-providers/${id}`, { as: by, body: changes }),
  }
}

/** The path and query of an address of the service. */
export function pathOf(url: URL | string): string {
  const { origin, pathname, search } = new URL(url)
  assert.equal(origin, publicUrl)
  return pathname + search
}

export const startPath = (id: string, query = ''): string => `/api/v1/auth/sso/${id}/start${query}`

/** What a browser says of a link on a page of the service. */
export const ownPage = { 'sec-fetch-site': 'same-origin' }

/** Begins a sign-in, signs in at the provider, and returns the address that the browser is sent back to. */
export async function answerOf(
  browser: Browser,
  provider: TestProvider,
  person: ProvidedPerson,
  query = '',
): Promise<string> {
  const started = await browser.get(startPath(provider.id, query), ownPage)
  assert.equal(started.status, 303, started.text)
  provider.op.signsIn(person)
  return pathOf(await provider.op.visit(String(started.headers.location)))
}

/** A complete sign-in; returns the last reply. */
export async function signInBy(t: TestApp, provider: TestProvider, person: ProvidedPerson, browser = createBrowser(t)) {
  const reply = await browser.get(await answerOf(browser, provider, person))
  return { reply, browser }
}

/** Renews the session of a signed-in browser and returns the access token. */
export async function tokenOf(browser: Browser): Promise<string> {
  const reply = await browser.call('POST', '/api/v1/auth/refresh', { headers: { origin: publicUrl } })
  assert.equal(reply.status, 200, reply.text)
  return reply.body.access_token
}
