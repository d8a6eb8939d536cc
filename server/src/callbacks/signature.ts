import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'

/**
 * The headers that let a receiver verify the sender and refuse a replay, signed over the exact bytes that are sent:
 * `X-Webhook-Signature: sha256=<hex>` and the Standard Webhooks headers (standardwebhooks.com, v1 symmetric).
 * Without a secret there is nothing to sign with: only `webhook-id` and `webhook-timestamp` are sent.
 */
export function signatureHeaders(
  id: string,
  body: string,
  secret: string | null,
  now: Date,
): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(now.getTime() / 1000))
  const headers = { 'webhook-id': id, 'webhook-timestamp': timestamp }
  if (secret === null) return headers
  const v1 = createHmac('sha256', standardKey(secret)).update(`${id}.${timestamp}.${body}`).digest('base64')
  const hex = createHmac('sha256', secret).update(body).digest('hex')
  return { ...headers, 'webhook-signature': `v1,${v1}`, 'x-webhook-signature': `sha256=${hex}` }
}

const standardForm = /^whsec_(?=.)((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)$/

/** A `whsec_` secret stands for the bytes behind its base64; any other secret for its own UTF-8 bytes. */
function standardKey(secret: string): KeyObject | string {
  const encoded = standardForm.exec(secret)?.[1]
  // Not a bare Buffer: Node takes five times as long to accept one as a key.
  return encoded === undefined ? secret : createSecretKey(encoded, 'base64')
}

/** Why a receiver could not verify with this secret, as the end of "callback_secret ..."; null when it can. */
export function refuseSecret(secret: string): string | null {
  if (secret.trim() !== secret || /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(secret)) {
    return 'must have no blank or line end at either end, and no invisible character: it may come from a file, whose last line end is not part of it'
  }
  if (!/wh(sec|sk|pk)_/i.test(secret)) return null
  const encoded = standardForm.exec(secret)?.[1] ?? ''
  // Loose bits at the end are read by some libraries and refused by others.
  if (encoded !== '' && Buffer.from(encoded, 'base64').toString('base64') === encoded) return null
  return 'must be whsec_ and then base64 of the key (A-Z a-z 0-9 + /, padded with =), nothing before it; or else any text without whsec_'
}
