import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  keyScopes,
  type Principal,
  type Right,
  type Role,
  requireRight,
  rights,
  rightsOf,
} from '../../src/identity/principal.ts'
import { Problem } from '../../src/platform/problem.ts'

/** Who may do what, by role instead of by right, written independently: an error would have to be in both. */
const reads = [
  'request.read',
  'queue.read',
  'callback.read',
  'profile.read',
  'agent.read',
  'organization.read',
  'user.read',
  'team.read',
] as const
const ownAccount = ['account.change', 'sso.link'] as const
const audits = ['audit.read', 'audit.export'] as const
const decides = ['request.respond', 'request.attach', 'request.redeliver', 'team.run'] as const
const manages = [
  'callback.redeliver',
  'api-key.manage',
  'agent.manage',
  'agent.pause',
  'organization.pause',
  'organization.create',
  'organization.manage',
  'invitation.create',
  'sso.manage',
  'user.manage',
  'team.create',
  'audit.manage',
] as const

const byCaller: Readonly<Record<'owner' | 'admin' | 'reviewer' | 'auditor' | 'agent', readonly Right[]>> = {
  auditor: [...reads, ...ownAccount, ...audits],
  reviewer: [...reads, ...ownAccount, ...decides],
  admin: [...reads, ...ownAccount, ...audits, ...decides, ...manages],
  owner: [...reads, ...ownAccount, ...audits, ...decides, ...manages, 'organization.delete'],
  agent: [
    'request.create',
    'request.attach',
    'request.read',
    'request.cancel',
    'request.redeem',
    'request.report',
    'request.redeliver',
  ],
}

const every = Object.keys(rights) as Right[]
const callers = Object.keys(byCaller) as (keyof typeof byCaller)[]

const id = '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a59'
const principalOf = (caller: Role | 'agent'): Principal =>
  caller === 'agent'
    ? { kind: 'agent', organizationId: id, agentId: id, apiKeyId: id, scopes: keyScopes }
    : { kind: 'person', organizationId: id, userId: id, accountId: id, role: caller }
const may = (caller: Role | 'agent', right: Right): boolean => rightsOf(principalOf(caller)).has(right)

const refusalOf = (caller: keyof typeof byCaller, right: Right): string | null => {
  try {
    requireRight(principalOf(caller), right)
    return null
  } catch (error) {
    assert.ok(error instanceof Problem)
    assert.equal(error.status, 403)
    assert.ok(error.message.length > 20, error.message)
    return error.code
  }
}

describe('every right and every caller', () => {
  for (const caller of callers) {
    test(`${caller}: ${byCaller[caller].length} of ${every.length}`, () => {
      for (const right of every) {
        const allowed = byCaller[caller].includes(right)
        assert.equal(may(caller, right), allowed, `${caller} ${right}`)
        assert.equal(refusalOf(caller, right), allowed ? null : 'auth.forbidden', `${caller} ${right}`)
      }
    })
  }

  test('every right is held by some caller, and all tables list the same rights', () => {
    const named = new Set(callers.flatMap((caller) => byCaller[caller]))
    assert.deepEqual([...named].sort(), [...every].sort())
  })

  test('an auditor can change only their own account, and an owner has every right of people', () => {
    for (const right of byCaller.auditor) assert.match(right, /\.(read|export)$|^account\.|^sso\.link$/)
    const people: readonly Role[] = ['admin', 'reviewer', 'auditor']
    for (const right of every) if (people.some((one) => may(one, right))) assert.ok(may('owner', right), right)
  })

  test('a person with an unknown role has no rights', () => {
    for (const right of every) assert.equal(may('nobody' as Role, right), false, right)
  })
})
