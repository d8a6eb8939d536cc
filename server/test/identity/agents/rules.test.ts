import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { active, holdOf, type Status, type Switch, type SwitchAct, turn } from '../../../src/identity/agents/agent.ts'
import { apiKeyId, keyFormat, mintApiKey } from '../../../src/identity/api-keys/api-key.ts'
import {
  type ApiKey,
  expiresSoon,
  expiryOf,
  isExpired,
  networksOf,
  rotate,
  scopesOf,
  setActive,
  warnAtOf,
} from '../../../src/identity/api-keys/api-key-terms.ts'
import {
  type Agent,
  type KeyScope,
  keyScopes,
  type Right,
  requireRight,
  rights,
  rightsOf,
  scopeFor,
} from '../../../src/identity/principal.ts'
import { newId } from '../../../src/platform/ids.ts'
import { Problem } from '../../../src/platform/problem.ts'

const now = new Date('2026-01-31T09:00:00.000Z')
const days = (count: number): Date => new Date(now.getTime() + count * 86_400_000)

const key: ApiKey = {
  organizationId: newId(),
  id: newId(),
  agentId: newId(),
  name: 'deploy-bot',
  description: null,
  isActive: true,
  scopes: ['requests:read'],
  expiresAt: days(100),
  allowedNetworks: ['192.0.2.0/24'],
  lastUsedAt: days(-1),
  lastUsedAddress: '192.0.2.7',
  rotatedFrom: null,
  revokedAt: null,
  revokedBy: null,
  leakedAt: null,
  createdAt: days(-100),
  updatedAt: days(-100),
}

/** The refusal that `act` ends with, as its status, code and field. */
function refusalOf(act: () => unknown): readonly [number, string, string?] {
  try {
    act()
  } catch (error) {
    assert.ok(error instanceof Problem, String(error))
    const path = error.errors?.[0]?.path
    return path === undefined ? [error.status, error.code] : [error.status, error.code, path]
  }
  return assert.fail('nothing was refused')
}

describe('how long a key lives', () => {
  test('a year by default, three years at most, never in the past', () => {
    assert.deepEqual(expiryOf(undefined, now), days(365))
    assert.deepEqual(expiryOf(days(1_096), now), days(1_096))
    for (const asked of [now, days(-1), new Date(days(1_096).getTime() + 1)]) {
      assert.deepEqual(
        refusalOf(() => expiryOf(asked, now)),
        [422, 'request.invalid', 'expires_at'],
      )
    }
  })

  test('it has expired at the end of its life, and expires soon during the 30 days before', () => {
    const end = days(30)
    assert.equal(isExpired({ expiresAt: end }, end), true)
    assert.equal(isExpired({ expiresAt: end }, new Date(end.getTime() - 1)), false)
    assert.equal(expiresSoon({ expiresAt: end }, now), true)
    assert.equal(expiresSoon({ expiresAt: new Date(end.getTime() + 1) }, now), false)
    assert.equal(expiresSoon({ expiresAt: days(-1) }, now), true)
  })

  for (const [life, told] of [
    [365, 335],
    [60, 30],
    [40, 20],
    [7, 3.5],
  ] as const) {
    test(`a key for ${life} days gets its expiry warning after ${told}`, () => {
      assert.deepEqual(warnAtOf({ createdAt: now, expiresAt: days(life) }), days(told))
    })
  }
})

describe('scopes and networks', () => {
  test('are kept in a canonical order and spelling, without duplicates', () => {
    assert.deepEqual(scopesOf(undefined), keyScopes)
    assert.deepEqual(scopesOf(['requests:read', 'requests:create', 'requests:read']), [
      'requests:create',
      'requests:read',
    ])
    assert.deepEqual(networksOf(['10.0.0.0/8', '192.0.2.7', '2001:DB8:0::/32', '::ffff:10.0.0.0/104', '2001:db8::1']), [
      '10.0.0.0/8',
      '192.0.2.7/32',
      '2001:db8::/32',
      '2001:db8::1/128',
    ])
  })

  for (const entry of [
    'everywhere',
    '',
    '10.0.0.1/8',
    '0.0.0.0/0',
    '::/0',
    '::ffff:0:0/96',
    '::FFFF:0.0.0.0/96',
    '10.0.0.0/33',
    '2001:db8::/129',
    '010.0.0.1',
    '0x7f.1',
    '10.1',
    'fe80::1%eth0/64',
    '10.0.0.0/8/8',
    '10.0.0.0/-1',
    '10.0.0.0/+8',
    'example.com',
  ]) {
    test(`422 for the network ${JSON.stringify(entry)}`, () => {
      assert.deepEqual(
        refusalOf(() => networksOf(['192.0.2.1', entry])),
        [422, 'request.invalid', 'allowed_networks.1'],
      )
    })
  }
})

describe('networks that are everybody together', () => {
  for (const entries of [
    ['0.0.0.0/1', '128.0.0.0/1'],
    ['128.0.0.0/1', '192.0.2.0/24', '64.0.0.0/2', '0.0.0.0/2'],
    ['::ffff:0.0.0.0/97', '128.0.0.0/1'],
    ['::/1', '8000::/1'],
    ['2000::/3'],
    ['2000::/4', '3000::/4', '10.0.0.0/8'],
  ]) {
    test(`422 for ${entries.join(' and ')}`, () => {
      assert.deepEqual(
        refusalOf(() => networksOf(entries)),
        [422, 'request.invalid', 'allowed_networks'],
      )
    })
  }

  for (const entries of [
    ['0.0.0.0/1', '128.0.0.0/2'],
    ['0.0.0.0/1', '8000::/1'],
    ['2000::/4', 'fc00::/7'],
    [
      '128.0.0.0/1',
      '0.0.0.0/2',
      '64.0.0.0/3',
      '96.0.0.0/4',
      '112.0.0.0/5',
      '120.0.0.0/6',
      '124.0.0.0/7',
      '126.0.0.0/8',
    ],
  ]) {
    test(`${entries.join(' and ')} are not`, () => assert.equal(networksOf(entries).length, entries.length))
  }
})

describe('rotation', () => {
  const terms = { overlapMinutes: 60, expiresAt: undefined }
  const id = newId()

  test('creates a key for the same agent, scopes, networks and lifetime; the old one ends with the overlap', () => {
    const { old, fresh } = rotate(key, id, terms, now)
    const overlapEnds = new Date(now.getTime() + 3_600_000)
    assert.deepEqual(old, { ...key, expiresAt: overlapEnds, updatedAt: now })
    assert.deepEqual(fresh, {
      ...key,
      id,
      expiresAt: days(200),
      lastUsedAt: null,
      lastUsedAddress: null,
      rotatedFrom: key.id,
      createdAt: now,
      updatedAt: now,
    })
  })

  test('never lengthens the old key', () => {
    const dying = { ...key, expiresAt: new Date(now.getTime() + 60_000) }
    assert.deepEqual(rotate(dying, id, terms, now).old.expiresAt, dying.expiresAt)
    const expired = { ...key, expiresAt: days(-1) }
    assert.deepEqual(rotate(expired, id, terms, now).old.expiresAt, expired.expiresAt)
    assert.deepEqual(rotate(key, id, { ...terms, overlapMinutes: 0 }, now).old.expiresAt, now)
  })

  test('accepts another expiry for the new key, within the same limits', () => {
    assert.deepEqual(rotate(key, id, { ...terms, expiresAt: days(2) }, now).fresh.expiresAt, days(2))
    assert.deepEqual(
      refusalOf(() => rotate(key, id, { ...terms, expiresAt: days(2_000) }, now)),
      [422, 'request.invalid', 'expires_at'],
    )
  })

  test('409 for a revoked key', () => {
    const revoked = setActive(key, false, newId(), now)
    assert.deepEqual(
      refusalOf(() => rotate(revoked, id, terms, now)),
      [409, 'api_key.revoked'],
    )
  })
})

test('a leaked key cannot be restored, another one can', () => {
  const by = newId()
  const revoked = setActive(key, false, by, now)
  assert.deepEqual([revoked.isActive, revoked.revokedAt, revoked.revokedBy], [false, now, by])
  assert.deepEqual(setActive(revoked, true, by, now), key)
  assert.deepEqual(
    refusalOf(() => setActive({ ...revoked, leakedAt: now }, true, by, now)),
    [409, 'api_key.leaked'],
  )
})

describe('the switch of an agent, every act on every state', () => {
  const at = (status: Status): Switch =>
    status === 'active' ? active : { status, since: days(-1), by: 'somebody', reason: 'before' }
  const by = { userId: 'me', reason: 'why' }
  const turned = (status: 'paused' | 'stopped'): Switch => ({ status, since: now, by: 'me', reason: 'why' })
  const cases: readonly (readonly [Status, SwitchAct, Switch | 'refused'])[] = [
    ['active', 'pause', turned('paused')],
    ['active', 'stop', turned('stopped')],
    ['active', 'resume', active],
    ['paused', 'pause', at('paused')],
    ['paused', 'stop', turned('stopped')],
    ['paused', 'resume', active],
    ['stopped', 'pause', 'refused'],
    ['stopped', 'stop', at('stopped')],
    ['stopped', 'resume', active],
  ]
  for (const [before, act, expected] of cases) {
    test(`${act} when ${before}: ${expected === 'refused' ? expected : expected.status}`, () => {
      for (const whose of ['agent', 'organization'] as const) {
        if (expected === 'refused') {
          assert.deepEqual(
            refusalOf(() => turn(at(before), act, by, now, whose)),
            [409, `${whose}.already_stopped`],
          )
        } else assert.deepEqual(turn(at(before), act, by, now, whose), expected)
      }
    })
  }

  test('the stronger switch of agent and organization applies, the organization’s if they are equal', () => {
    const told = (own: Status, organization: Status) => {
      const hold = holdOf(at(own), at(organization), false)
      return hold === null ? null : `${hold.on} ${hold.status}`
    }
    assert.deepEqual(
      (['active', 'paused', 'stopped'] as const).map((own) =>
        (['active', 'paused', 'stopped'] as const).map((organization) => told(own, organization)),
      ),
      [
        [null, 'organization paused', 'organization stopped'],
        ['agent paused', 'organization paused', 'organization stopped'],
        ['agent stopped', 'agent stopped', 'organization stopped'],
      ],
    )
  })
})

describe('what a key may do', () => {
  const agent = (scopes: readonly KeyScope[]): Agent => ({
    kind: 'agent',
    organizationId: key.organizationId,
    agentId: key.agentId,
    apiKeyId: key.id,
    scopes,
  })
  const all = Object.keys(rights) as Right[]
  const ofAgents = all.filter((right) => (rights[right] as readonly string[]).includes('agent'))

  test('every right of agents needs a scope, every scope gives a right, and no right of people needs one', () => {
    assert.deepEqual(new Set(ofAgents.map(scopeFor)), new Set(keyScopes))
    for (const right of all) assert.equal(scopeFor(right) !== null, ofAgents.includes(right), right)
  })

  for (const scope of keyScopes) {
    test(`${scope} alone gives only its own rights`, () => {
      const caller = agent([scope])
      for (const right of all) {
        assert.equal(rightsOf(caller).has(right), scopeFor(right) === scope, right)
        if (scopeFor(right) === scope) assert.doesNotThrow(() => requireRight(caller, right))
        else {
          const expected = ofAgents.includes(right) ? 'auth.scope_missing' : 'auth.forbidden'
          assert.deepEqual(
            refusalOf(() => requireRight(caller, right)),
            [403, expected],
            right,
          )
        }
      }
    })
  }

  test('with all scopes, and with none', () => {
    for (const right of all) {
      assert.equal(rightsOf(agent(keyScopes)).has(right), ofAgents.includes(right))
      assert.equal(rightsOf(agent([])).has(right), false)
    }
  })

  test('paused, it cannot create requests; stopped, it cannot do anything', () => {
    for (const on of ['agent', 'organization'] as const) {
      for (const status of ['paused', 'stopped'] as const) {
        const hold = { on, status, since: now, reason: 'why', isAcknowledged: false }
        const held = { ...agent(keyScopes), hold }
        for (const right of all) {
          const expected =
            status === 'stopped' || right === 'request.create'
              ? `${on}.${status}`
              : ofAgents.includes(right)
                ? null
                : 'auth.forbidden'
          if (expected === null) assert.doesNotThrow(() => requireRight(held, right))
          else
            assert.deepEqual(
              refusalOf(() => requireRight(held, right)),
              [403, expected],
              right,
            )
        }
      }
    }
  })
})

test('the published format describes keys: pattern, length, and a checksum that a scanner can compute', async () => {
  const { crc32 } = await import('node:zlib')
  const raw = mintApiKey(key.id)
  assert.match(`token = "${raw}";`, new RegExp(keyFormat.regex))
  assert.equal(raw.length, keyFormat.length)
  assert.equal(
    keyFormat.parts.reduce((sum, { length }) => sum + length, 0),
    keyFormat.length,
  )
  const [body, checksum] = [raw.slice(0, -6), raw.slice(-6)]
  let value = crc32(body)
  let digits = ''
  for (let place = 0; place < 6; place += 1) {
    digits = keyFormat.alphabet.charAt(value % 62) + digits
    value = Math.floor(value / 62)
  }
  assert.equal(checksum, digits)
  assert.equal(apiKeyId(raw), key.id)
})
