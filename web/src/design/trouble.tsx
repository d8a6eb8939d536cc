import { PasskeyDeclined } from '../api/passkeys.ts'
import { isRefused } from '../api/refused.ts'
import { say } from '../words/say.ts'

/** What went wrong, in the service's own words where it replied. */
export const sentenceOf = (error: unknown): string =>
  isRefused(error)
    ? error.message
    : error instanceof PasskeyDeclined
      ? say('trouble.passkey_declined')
      : say('trouble.unreachable')

/** Always there, because what appears together with its role is often not read out. */
export function Trouble({ of: error }: { readonly of: unknown }) {
  const isNone = error === null || error === undefined
  return (
    <div role="alert" className={isNone ? 'sr-only' : ''}>
      {isNone ? null : <p className="text-critical">{sentenceOf(error)}</p>}
    </div>
  )
}
