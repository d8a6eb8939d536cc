import { usage } from './failure.ts'

const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/

/** The address of a service that `option` names. Refuses plain http to another machine unless explicitly allowed. */
export function serviceUrl(option: string, text: string, allowHttp: boolean): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw usage(`--${option} must be an address such as https://hitl.example.com.`)
  }
  if (url.username !== '' || url.password !== '') throw usage(`--${option} must not contain a user name or password.`)
  if (url.protocol === 'http:' && !allowHttp && !loopback.test(url.hostname)) {
    throw usage(
      `--${option} is not encrypted: anyone in between could read and change what is sent.`,
      'Use https://, or --allow-http if you know that no one is in between.',
    )
  }
  return url
}

/** `path` on this service, after the path of its address, which it may have behind a proxy. */
export function at(url: URL, path: string): URL {
  const whole = new URL(url)
  whole.pathname = `${url.pathname.replace(/\/+$/, '')}${path}`
  whole.search = ''
  whole.hash = ''
  return whole
}

/** Why a call failed, as the network reports it. */
export function reasonOf(error: unknown): string {
  const { message } = error as Error
  const source = sourceOf(error)
  return source instanceof Error && source.message !== '' ? source.message : message
}

/** What to do about it. */
export function remedyFor(error: unknown): string {
  const { code = '' } = (sourceOf(error) ?? {}) as { code?: unknown }
  if (code === 'CERT_HAS_EXPIRED') return 'Renew the certificate of the service, or of the proxy in front of it.'
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return 'Use the name that the certificate is for.'
  return /SELF_SIGNED|UNABLE_TO_|CERT_UNTRUSTED/.test(String(code))
    ? 'Name the file of its certificate authority: NODE_EXTRA_CA_CERTS=/path/ca.pem hitl ...'
    : 'Check the address.'
}

function sourceOf(error: unknown): unknown {
  const { cause } = error as Error
  return cause instanceof AggregateError ? cause.errors[0] : cause
}
