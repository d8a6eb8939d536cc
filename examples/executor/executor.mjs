// Carries out an action if exactly this action was approved, and only once. Plain Node, nothing to install:
//   HITL_URL=https://hitl.example.com HITL_API_KEY=hitl_... node executor.mjs REQUEST_ID action.json
// action.json is the request that the agent sent: {"title", "description", "context": {"command": ["echo", "hi"]}}, or with
// "action": {"name", "args": {"command": ["echo", "hi"]}}, whose args a person may have edited.
import { execFileSync } from 'node:child_process'
import { createHash, createPublicKey, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'

const { HITL_URL = 'http://localhost:8000', HITL_API_KEY } = process.env
const [requestId, actionFile] = process.argv.slice(2)
const refuse = (why) => {
  process.stderr.write(`refused: ${why}\n`)
  process.exit(1)
}
process.on('uncaughtException', ({ message }) => refuse(message))
if (!HITL_API_KEY || !actionFile) refuse('use HITL_API_KEY=hitl_... node executor.mjs REQUEST_ID action.json')
const call = async (method, path, sent) => {
  const headers = { authorization: `Bearer ${HITL_API_KEY}`, 'content-type': 'application/json' }
  const body = sent && JSON.stringify(sent)
  const reply = await fetch(HITL_URL + path, { method, headers, body, redirect: 'error' })
  const received = await reply.json()
  return reply.ok ? received : refuse(received.detail)
}
/** RFC 8785: names sorted by their UTF-16 code units, everything else as JavaScript writes it. */
const canonical = (value) => {
  if (Array.isArray(value)) return `[${value.map(canonical)}]`
  if (typeof value !== 'object' || value === null) return typeof value === 'number' ? `${value}` : JSON.stringify(value)
  const members = Object.keys(value)
    .filter((name) => value[name] !== undefined)
    .sort()
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`)}}`
}
const sha256 = (value) => createHash('sha256').update(canonical(value)).digest('hex')
const decode = (segment) => JSON.parse(Buffer.from(segment, 'base64url').toString('utf8'))

// Computed from the action that is about to run, not from what anyone says about it.
const held = JSON.parse(readFileSync(actionFile, 'utf8'))
const { title, description = null, context, action, answer, justification, presentation } = held
const digest = sha256({ title, description, context, action, answer, justification, presentation })

// The certificate must be a decision certificate of this service, about this request and this action, and an approval that has
// not expired.
const [header, payload, signature] = (await call('GET', `/api/v1/requests/${requestId}/certificate`)).certificate.split(
  '.',
)
const { alg, typ, kid } = decode(header)
const { keys } = await call('GET', '/.well-known/jwks.json')
const key = keys.find((jwk) => jwk.kid === kid && jwk.purpose === 'certificate')
if (alg !== 'EdDSA' || typ !== 'hitl-decision+jwt' || !key) refuse('this is not a decision certificate of this service')
const signed = [Buffer.from(`${header}.${payload}`), createPublicKey({ key, format: 'jwk' })]
if (!verify(null, ...signed, Buffer.from(signature, 'base64url'))) refuse('the signature is wrong')
const claims = decode(payload)
if (claims.request_id !== requestId) refuse('the certificate is about another request')
if (claims.decision !== 'approve') refuse(`the decision is "${claims.decision}"`)
if (!(claims.exp * 1000 > Date.now())) refuse('the approval has expired')
if (claims.digest !== digest) refuse('this is not the action that was approved')

// What a person edited, and the files that they added, come from the service, which need not be believed: the certificate says which
// arguments were approved, and which files with them. (Who uses a file compares its content with its sha256 here.)
const { args: edited, attachments: files } = (await call('GET', `/api/v1/requests/${requestId}`)).response
if (claims.attachments_digest !== (files ? sha256(files) : undefined)) refuse('these are not the files of the answer')
const args = action ? (edited ?? action.args) : context
if (action && claims.args_digest !== sha256(args)) refuse('these are not the arguments that were approved')

// Of all programs that hold this approval, only one gets past this call. The command runs without a shell, which could read
// more into its words.
await call('POST', `/api/v1/requests/${requestId}/redeem`, { digest })
execFileSync(args.command[0], args.command.slice(1), { stdio: 'inherit' })
