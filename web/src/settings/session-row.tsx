import type { ReactNode } from 'react'
import type { Schemas } from '../api/client.ts'
import { Mark, Row } from '../design/rows.tsx'
import { When } from '../design/when.tsx'
import { listed } from '../words/formats.ts'
import { region, say } from '../words/say.ts'

const methods = ['password', 'totp', 'recovery_code', 'passkey', 'oidc'] as const

const methodWord = (method: string): string => {
  const known = methods.find((each) => each === method)
  return known === undefined ? method : say(`method.${known}`)
}

export function SessionRow({
  session,
  children,
}: {
  readonly session: Schemas['Session']
  readonly children: ReactNode
}) {
  const { user_agent, kind, network, signed_in_with, last_used_at, is_current } = session
  return (
    <Row
      title={<bdi>{user_agent ?? kind}</bdi>}
      mark={is_current ? <Mark tone="good">{say('sessions.current')}</Mark> : null}
      detail={
        <>
          {network === null ? null : <bdi>{`${network} · `}</bdi>}
          {listed(region(), signed_in_with.map(methodWord))}
          {' · '}
          {say('used.last')} <When at={last_used_at} />
        </>
      }
    >
      {children}
    </Row>
  )
}
