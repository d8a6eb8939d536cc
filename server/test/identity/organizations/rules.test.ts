import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  closing,
  deletionOf,
  isWordOfProvider,
  mayRunTeam,
  type Organization,
  type OrganizationMember,
  requireChangeable,
  requireOwnSignIn,
  requireTransferable,
  restorationOf,
} from '../../../src/identity/organizations/organization.ts'
import { type Role, roles } from '../../../src/identity/principal.ts'
import { Problem } from '../../../src/platform/problem.ts'

const yesNo = [true, false] as const
const now = new Date('2026-01-31T09:00:00.000Z')

function codeOf(act: () => unknown): string {
  try {
    act()
    return 'done'
  } catch (error) {
    if (error instanceof Problem) return error.code
    throw error
  }
}

const member = (id: string, role: Role, isActive = true): OrganizationMember => ({ id, role, isActive })
const managers: readonly Role[] = ['owner', 'admin']

describe('changing a member', () => {
  test('every combination of actor, target, new role and activity has the documented outcome', () => {
    let cells = 0
    for (const byRole of roles)
      for (const byActive of yesNo)
        for (const isSelf of yesNo)
          for (const role of isSelf ? [byRole] : roles)
            for (const isActive of isSelf ? [byActive] : yesNo)
              for (const wantedRole of roles)
                for (const wantedActive of yesNo) {
                  const by = member('by', byRole, byActive)
                  const before = isSelf ? by : member('other', role, isActive)
                  const after = { ...before, role: wantedRole, isActive: wantedActive }
                  const rightsStay = wantedRole === role && wantedActive === isActive
                  const words = !(byActive && managers.includes(byRole))
                    ? 'auth.forbidden'
                    : !isSelf && role === 'owner'
                      ? 'user.is_owner'
                      : isSelf && !rightsStay
                        ? 'user.own'
                        : wantedRole === 'owner' && role !== 'owner'
                          ? 'user.not_owner'
                          : 'done'
                  const where = JSON.stringify({ by, before, after })
                  assert.equal(
                    codeOf(() => requireChangeable(by, before, after)),
                    words,
                    where,
                  )
                  cells += 1
                }
    // 8 actors, with 8 changes of themselves and, of others, 8 states times 8 changes.
    assert.equal(cells, 8 * (8 + 64))
  })

  test('no allowed change makes or removes an owner, or touches the rights of its actor', () => {
    for (const byRole of roles)
      for (const role of roles)
        for (const wanted of roles) {
          const [by, before] = [member('by', byRole), member('other', role)]
          const after = { ...before, role: wanted }
          if (codeOf(() => requireChangeable(by, before, after)) !== 'done') continue
          assert.equal(before.role === 'owner', after.role === 'owner')
          assert.ok(managers.includes(byRole))
        }
  })
})

describe('transferring ownership', () => {
  test('every combination of actor, owner and heir has the documented outcome', () => {
    let cells = 0
    for (const byRole of roles)
      for (const byActive of yesNo)
        for (const ownerIs of ['by', 'another', 'nobody'] as const)
          for (const toIs of ['nobody', 'by', 'the owner', 'active', 'deactivated'] as const) {
            // There is exactly one owner.
            if ((byRole === 'owner') !== (ownerIs === 'by')) continue
            if (toIs === 'the owner' && ownerIs === 'nobody') continue
            const by = member('by', byRole, byActive)
            const owner = ownerIs === 'nobody' ? null : ownerIs === 'by' ? by : member('owner', 'owner')
            const to = {
              nobody: null,
              by,
              'the owner': owner,
              active: member('to', 'auditor'),
              deactivated: member('to', 'reviewer', false),
            }[toIs]
            const words = !(byActive && managers.includes(byRole))
              ? 'auth.forbidden'
              : ownerIs === 'another'
                ? 'organization.not_owner'
                : to === null
                  ? 'user.not_found'
                  : ownerIs === 'by' && to.id === 'by'
                    ? 'user.is_owner'
                    : to.isActive
                      ? 'done'
                      : 'user.inactive'
            assert.equal(
              codeOf(() => requireTransferable(by, owner, to)),
              words,
              JSON.stringify({ by, owner, to }),
            )
            cells += 1
          }
    // Owners: 2 by 5 heirs; the other three roles: 6 by (5 heirs of another's, 4 of nobody's).
    assert.equal(cells, 10 + 6 * 9)
  })
})

describe('running a team', () => {
  for (const [role, asMember, asLead] of [
    ['owner', true, true],
    ['admin', true, true],
    ['reviewer', false, true],
    ['auditor', false, false],
  ] as const) {
    test(`${role}: ${asMember}, as its lead ${asLead}`, () => {
      assert.deepEqual([mayRunTeam(role, false), mayRunTeam(role, true)], [asMember, asLead])
    })
  }
})

describe('the deletion of an organization', () => {
  const stays: Organization = {
    organizationId: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a51',
    name: 'Example Inc.',
    requireStepUp: false,
    deleteAfter: null,
    deletionRequestedBy: null,
    createdAt: now,
    updatedAt: now,
  }
  const ends: Organization = { ...stays, deleteAfter: new Date(0), deletionRequestedBy: 'another' }

  test('can be requested and withdrawn only by its active owner', () => {
    for (const role of roles)
      for (const isActive of yesNo)
        for (const before of [stays, ends]) {
          const by = member('by', role, isActive)
          const words = role === 'owner' && isActive ? 'done' : 'organization.not_owner'
          assert.equal(
            codeOf(() => deletionOf(before, by, before.name, now)),
            words,
          )
          assert.equal(
            codeOf(() => restorationOf(before, by)),
            words,
          )
        }
  })

  test('comes after 30 days; requesting it again does not move the date', () => {
    const by = member('by', 'owner')
    const asked = deletionOf(stays, by, stays.name, now)
    assert.equal(asked.deleteAfter?.toISOString(), '2026-03-02T09:00:00.000Z')
    assert.equal(asked.deletionRequestedBy, 'by')
    assert.equal(deletionOf(asked, by, stays.name, new Date(now.getTime() + 86_400_000)), asked)
    assert.deepEqual(restorationOf(asked, by), stays)
    assert.equal(restorationOf(stays, by), stays)
  })

  test('needs the exact name', () => {
    for (const name of ['', 'example inc.', 'Example Inc', ' Example Inc.']) {
      assert.equal(
        codeOf(() => deletionOf(stays, member('by', 'owner'), name, now)),
        'request.invalid',
      )
    }
  })

  test('refuses sign-ins', () => assert.deepEqual([closing().status, closing().code], [403, 'organization.closing']))
})

describe('a sign-in through an identity provider', () => {
  for (const [methods, isWord] of [
    [['oidc'], true],
    [['oidc', 'totp'], true],
    [['password'], false],
    [['password', 'totp'], false],
    [['passkey'], false],
    [[], false],
  ] as const) {
    test(`${JSON.stringify(methods)} ${isWord ? 'opens no other organization' : 'is the own'}`, () => {
      const by = { signIn: { methods, at: now } }
      assert.equal(isWordOfProvider(by), isWord)
      assert.equal(
        codeOf(() => requireOwnSignIn(by)),
        isWord ? 'sso.other_organization' : 'done',
      )
    })
  }
  test('is not assumed if the methods are unknown', () => assert.equal(isWordOfProvider({}), false))
})
