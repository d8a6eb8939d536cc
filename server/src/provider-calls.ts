import { readFileSync } from 'node:fs'
import type { Config } from './config.ts'
import { createProviderHttp, type ProviderHttp } from './identity/sso/provider-http.ts'
import { allowsName } from './outbound/allow-list.ts'
import { createNameResolver } from './outbound/name-resolver.ts'
import { checkTarget, parseAllowList } from './outbound/target-guard.ts'
import { createVettedConnector } from './outbound/vetted-connector.ts'

/**
 * Calls to identity providers, behind the guard that callbacks have, with a list of their own: where agents may be called
 * back is not where an organization's people sign in. Names are looked up apart, so that neither waits for the other.
 */
export function createProviderCalls({ SSO_ALLOW, SSO_CA }: Config): ProviderHttp {
  const allow = parseAllowList(SSO_ALLOW)
  const names = createNameResolver({ isOperators: (hostname) => allowsName(allow, hostname, null) })
  const connector = createVettedConnector({
    allow,
    timeoutMs: 10_000,
    resolve: names.resolve,
    ...(SSO_CA === null ? {} : { ca: readFileSync(SSO_CA, 'utf8') }),
  })
  const http = createProviderHttp({
    refusal: (url) => {
      const verdict = checkTarget(url, allow)
      return verdict.ok ? null : verdict.reason
    },
    connect: connector.connect,
  })
  return {
    fetch: http.fetch,
    close: async () => {
      await http.close()
      names.cancel()
      await connector.close()
    },
  }
}
