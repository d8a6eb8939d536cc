import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reasonOf, remedyFor } from '../src/service-url.ts'

const failed = (code: string) =>
  new TypeError('fetch failed', { cause: Object.assign(new Error(`because ${code}`), { code }) })

test('what to do depends on why a service cannot be reached', () => {
  for (const [code, remedy] of [
    ['ECONNREFUSED', /^Check the address\.$/],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', /NODE_EXTRA_CA_CERTS/],
    ['SELF_SIGNED_CERT_IN_CHAIN', /NODE_EXTRA_CA_CERTS/],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', /NODE_EXTRA_CA_CERTS/],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', /NODE_EXTRA_CA_CERTS/],
    ['CERT_HAS_EXPIRED', /^Renew the certificate/],
    ['ERR_TLS_CERT_ALTNAME_INVALID', /the name that the certificate is for/],
  ] as const) {
    assert.match(remedyFor(failed(code)), remedy)
    assert.equal(reasonOf(failed(code)), `because ${code}`)
  }
  const both = new TypeError('fetch failed', { cause: new AggregateError([failed('ECONNREFUSED').cause]) })
  assert.equal(remedyFor(both), 'Check the address.')
  assert.equal(remedyFor(new Error('aborted')), 'Check the address.')
})
