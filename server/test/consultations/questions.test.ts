import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { answerExamples, questionExamples } from '../../src/consultations/questions/schemas.ts'
import { addFile } from '../attachments/add-file.ts'
import { type Reply, startTestApp, type TestApp } from '../harness.ts'
import { newPerson, password } from '../identity/factors/people.ts'
import { startReceiver } from '../receivers.ts'
import { recordedEvents } from '../recorded-events.ts'
import { sha256OfJson } from './sha256-of-json.ts'

let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

const path = '/api/v1/requests'
const ask = (fields: object) =>
  t.call('POST', path, { as: t.apiKey, body: { title: 'May I?', context: {}, ...fields } })
const answer = (id: string, body: object, headers = {}): Promise<Reply> =>
  t.call('POST', `${path}/${id}/respond`, { as: t.reviewer.token, body, headers })
const read = async (id: string) => (await t.call('GET', `${path}/${id}`, { as: t.apiKey })).body
const claimsOf = (certificate: string) =>
  JSON.parse(Buffer.from(certificate.split('.')[1] ?? '', 'base64url').toString('utf8'))
const paths = ({ body }: Reply) => body.errors?.map((error: { path: string }) => error.path)

async function asked(fields: object): Promise<string> {
  const reply = await ask(fields)
  assert.equal(reply.status, 201, reply.text)
  return reply.body.id
}

async function answered(id: string, body: object) {
  const reply = await answer(id, body)
  assert.equal(reply.status, 200, reply.text)
  return reply.body
}

const refund = {
  name: 'refunds.create',
  args: { charge: 'ch_1', amount: 40 },
  args_schema: {
    type: 'object',
    properties: { charge: { type: 'string' }, amount: { type: 'number', maximum: 50 } },
    required: ['charge', 'amount'],
    additionalProperties: false,
  },
}

describe('a request asks', () => {
  test('with everything there is, and gets it back as it was sent', async () => {
    const text =
      '{"title":"Refund?","context":{},"action":{"name":"refund", "args":{"amount":40.0,"é":1e2}},"answer":{"edit_args":true,"comment":"optional"},' +
      '"justification":"**late**","presentation":{"hints":{"/action/args/nothing":{"render":"hologram","x":1}},"target":"o-1","reversible":false},' +
      '"risk":"high","priority":"urgent","tags":["b","a"],"run_id":"r-1"}'
    const headers = { 'content-type': 'application/json' }
    const made = await t.call('POST', path, { as: t.apiKey, payload: text, headers })
    assert.equal(made.status, 201, made.text)
    for (const { text: shown, body } of [
      made,
      await t.call('GET', `${path}/${made.body.id}`, { as: t.reviewer.token }),
    ]) {
      assert.ok(shown.includes('"action":{"name":"refund", "args":{"amount":40.0,"é":1e2}}'), shown)
      assert.deepEqual(
        [
          body.answer,
          body.justification,
          body.presentation.target,
          body.risk,
          body.risk_proposed,
          body.priority,
          body.tags,
          body.run_id,
        ],
        [{ edit_args: true, comment: 'optional' }, '**late**', 'o-1', 'high', 'high', 'urgent', ['b', 'a'], 'r-1'],
      )
      assert.deepEqual(body.presentation.hints, { '/action/args/nothing': { render: 'hologram', x: 1 } })
    }
    const { title, description, context, action, answer: spec, justification, presentation, digest } = made.body
    assert.equal(
      digest,
      sha256OfJson({ title, description, context, action, answer: spec, justification, presentation }),
    )
  })

  test('with nothing new, and is what it was: medium risk, normal priority, no tags, the same digest', async () => {
    const { body } = await ask({ action: null, answer: null, presentation: null, risk: null, tags: null })
    const { action, answer: spec, justification, presentation, risk, risk_proposed, priority, tags, run_id } = body
    assert.deepEqual(
      [action, spec, justification, presentation, risk, risk_proposed, priority, tags, run_id],
      [null, null, null, null, 'medium', 'medium', 'normal', [], null],
    )
    assert.equal(body.digest, sha256OfJson({ title: 'May I?', description: null, context: {} }))
  })

  for (const [at, example] of questionExamples.entries()) {
    test(`as the document's example ${at + 1} does, whose answer is taken`, async () => {
      const id = await asked(example)
      const { attachments, ...said }: Readonly<Record<string, unknown>> = answerExamples[at] ?? {}
      const file = attachments === undefined ? null : (await addFile(t, id)).body
      const { response } = await answered(id, { ...said, ...(file && { attachments: [file.id] }) })
      assert.deepEqual(
        response.args ?? response.choices ?? response.data ?? response.attachments,
        said.args ?? said.choices ?? said.data ?? [file],
      )
    })
  }

  const form = (schema: object) => ({ answer: { form: { type: 'object', ...schema } } })
  for (const [what, fields, wrong] of [
    ['an unknown member', { action: { name: 'x', args: {}, arg: 1 } }, ['action.arg']],
    ['an action without args', { action: { name: 'x' } }, ['action.args']],
    ['a name of two lines', { action: { name: 'x\ny', args: {} } }, ['action.name']],
    ['args against their schema', { action: { ...refund, args: { charge: 'x', amount: 51 } } }, ['action.args.amount']],
    [
      'a schema that is none',
      { action: { ...refund, args_schema: { type: 'object', allOf: [] } } },
      ['action.args_schema.allOf'],
    ],
    [
      'a form of an unknown keyword',
      form({ properties: { a: { type: 'string', anyOf: [] } } }),
      ['answer.form.properties.a.anyOf'],
    ],
    [
      'a form that cannot be matched in linear time',
      form({ properties: { a: { type: 'string', pattern: '(a)\\1' } } }),
      ['answer.form.properties.a.pattern'],
    ],
    ['an unknown decision', { answer: { decisions: ['maybe'] } }, ['answer.decisions.0']],
    ['a decision twice', { answer: { decisions: ['approve', 'approve'] } }, ['answer.decisions']],
    ['nothing', { answer: { decisions: [] } }, ['answer.decisions']],
    [
      'one option',
      { answer: { options: { mode: 'single', items: [{ id: 'a', label: 'A' }] } } },
      ['answer.options.items'],
    ],
    [
      'an option twice',
      {
        answer: {
          options: {
            mode: 'single',
            items: [
              { id: 'a', label: 'A' },
              { id: 'a', label: 'B' },
            ],
          },
        },
      },
      ['answer.options.items.1.id'],
    ],
    [
      'more options than there are',
      {
        answer: {
          options: {
            mode: 'multiple',
            max: 3,
            items: [
              { id: 'a', label: 'A' },
              { id: 'b', label: 'B' },
            ],
          },
        },
      },
      ['answer.options.max'],
    ],
    [
      'two of one',
      {
        answer: {
          options: {
            mode: 'single',
            max: 2,
            items: [
              { id: 'a', label: 'A' },
              { id: 'b', label: 'B' },
            ],
          },
        },
      },
      ['answer.options.max'],
    ],
    ['edits of nothing', { answer: { edit_args: true } }, ['answer.edit_args']],
    ['fewer files than are needed', { answer: { attachments: { min: 2, max: 1 } } }, ['answer.attachments.min']],
    ['too many files', { answer: { attachments: { max: 11 } } }, ['answer.attachments.max']],
    ['no files', { answer: { attachments: { max: 0 } } }, ['answer.attachments.max']],
    ['files of no type', { answer: { attachments: { media_types: [] } } }, ['answer.attachments.media_types']],
    [
      'a type that is none',
      { answer: { attachments: { media_types: ['*/*'] } } },
      ['answer.attachments.media_types.0'],
    ],
    ['a link that is a script', { presentation: { source_url: 'javascript:alert(1)' } }, ['presentation.source_url']],
    ['an unknown risk', { risk: 'extreme' }, ['risk']],
    ['too many tags', { tags: Array.from({ length: 33 }, (_, at) => `${at}`) }, ['tags']],
    ['an empty tag', { tags: [''] }, ['tags.0']],
    ['too long a reason', { justification: 'x'.repeat(20_001) }, ['justification']],
    ['too large an action', { action: { name: 'x', args: { a: 'x'.repeat(262_144) } } }, ['action']],
    [
      'too large a form',
      form({
        description: 'x'.repeat(3_000),
        $defs: Object.fromEntries(
          Array.from({ length: 60 }, (_, at) => [`d${at}`, { type: 'string', description: 'x'.repeat(1_200) }]),
        ),
      }),
      ['answer.form'],
    ],
  ] as const) {
    test(`for ${what}: 422 naming ${wrong}, and nothing is asked`, async () => {
      const { total } = (await t.call('GET', path, { as: t.apiKey })).body
      const reply = await ask(fields)
      assert.deepEqual([reply.status, paths(reply)], [422, wrong], reply.text)
      assert.equal((await t.call('GET', path, { as: t.apiKey })).body.total, total)
    })
  }

  test('a refused schema is named by a JSON Pointer with its reason', async () => {
    const { body } = await ask(form({ properties: { 'a.b': { type: 'string', format: 'phone' } } }))
    assert.equal(body.errors[0].pointer, '/answer/form/properties/a.b/format')
    assert.match(body.errors[0].message, /must be one of date, /)
  })

  test('with the schemas that GET /answer-schema describes', async () => {
    const reply = await t.call('GET', '/api/v1/answer-schema', { as: t.apiKey })
    assert.equal(reply.body.$schema, 'https://json-schema.org/draft/2020-12/schema')
    assert.ok(reply.body.properties.properties)
  })
})

describe('an answer', () => {
  test('edits the arguments: the patch is recorded, and the certificate binds what may be used', async () => {
    const receiver = await startReceiver()
    try {
      const id = await asked({ action: refund, answer: { edit_args: true }, callback_webhook: receiver.url })
      const args = { charge: 'ch_1', amount: 35 }
      const { response, certificate } = await answered(id, { decision: 'approve', args })
      assert.deepEqual([response.args, response.args_patch], [args, [{ op: 'replace', path: '/amount', value: 35 }]])
      const claims = claimsOf(certificate)
      assert.deepEqual(
        [claims.args_digest, claims.data_digest, claims.choices],
        [sha256OfJson(args), undefined, undefined],
      )
      await t.app.drain()
      const [called] = receiver.requests
      assert.deepEqual(JSON.parse(String(called?.body)).response, response)
      const [event] = await recordedEvents(t.sql, { subject: id, kinds: ['request.responded'] })
      assert.equal(event?.after.args_digest, sha256OfJson(args))
      assert.equal((await t.call('POST', `${path}/${id}/redeem`, { as: t.apiKey, body: {} })).status, 200)
    } finally {
      await receiver.close()
    }
  })

  test('that edits nothing certifies the arguments that were proposed', async () => {
    const id = await asked({ action: refund, answer: { edit_args: true } })
    const { response, certificate } = await answered(id, { decision: 'approve' })
    assert.deepEqual([response.args, response.args_patch], [null, null])
    assert.equal(claimsOf(certificate).args_digest, sha256OfJson(refund.args))
  })

  test('to the core is as it was, with null for what was not asked for', async () => {
    const { response, certificate } = await answered(await asked({}), { decision: 'approve', comment: 'yes' })
    const { responder_id: id, responder, responded_at: _, ...said } = response
    assert.deepEqual(responder, { id, name: 'Robin Reviewer' })
    const nothing = { choices: null, data: null, args: null, args_patch: null, attachments: null }
    assert.deepEqual(said, { decision: 'approve', comment: 'yes', ...nothing, revision: 1 })
    assert.deepEqual(Object.keys(claimsOf(certificate)).sort(), [
      'assurance',
      'decided_at',
      'decided_by',
      'decision',
      'digest',
      'exp',
      'iat',
      'iss',
      'jti',
      'organization_id',
      'request_id',
      'revision',
    ])
  })

  test('without a decision is certified, neutral for redeem, and found as responded', async () => {
    const options = { mode: 'ranked', max: 2, items: ['a', 'b', 'c'].map((id) => ({ id, label: id })) }
    const id = await asked({ answer: { decisions: [], options } })
    const { response, certificate, state } = await answered(id, { choices: ['c', 'a'] })
    assert.deepEqual([state, response.decision, response.choices], ['responded', null, ['c', 'a']])
    assert.deepEqual([claimsOf(certificate).choices, claimsOf(certificate).decision], [['c', 'a'], null])
    const shown = await t.call('GET', `${path}/${id}/certificate`, { as: t.apiKey })
    assert.deepEqual([shown.status, shown.body.decision], [200, null], shown.text)
    const redeemed = await t.call('POST', `${path}/${id}/redeem`, { as: t.apiKey, body: {} })
    assert.deepEqual([redeemed.status, redeemed.body.code], [409, 'consultation.not_approved'])
  })

  test('acknowledges where that is asked for', async () => {
    const { response } = await answered(await asked({ answer: { decisions: ['acknowledge'] } }), {
      decision: 'acknowledge',
    })
    assert.equal(response.decision, 'acknowledge')
  })

  test('keeps the values of a form as they were sent, and certifies their digest', async () => {
    const schema = { type: 'object', properties: { n: { type: 'number' } } }
    const id = await asked({ answer: { decisions: [], form: schema } })
    const headers = { 'content-type': 'application/json' }
    const reply = await t.call('POST', `${path}/${id}/respond`, {
      as: t.reviewer.token,
      payload: '{"data":{"n":1.50,"more":[1e2]}}',
      headers,
    })
    assert.ok(reply.text.includes('"data":{"n":1.50,"more":[1e2]}'), reply.text)
    assert.equal(claimsOf(reply.body.certificate).data_digest, sha256OfJson({ n: 1.5, more: [100] }))
  })

  test('that is wrong is refused whole, each field with an error of its own, and nothing changes', async () => {
    const schema = {
      type: 'object',
      properties: { n: { type: 'number', minimum: 1 }, s: { type: 'string' } },
      required: ['n', 's'],
    }
    const id = await asked({
      action: refund,
      answer: { decisions: ['approve', 'reject'], form: schema, edit_args: true, comment: 'required' },
    })
    const before = await read(id)
    const reply = await answer(id, {
      decision: 'acknowledge',
      data: { n: 0 },
      args: { charge: 1, amount: 99 },
      choices: ['x'],
    })
    assert.equal(reply.status, 422, reply.text)
    assert.deepEqual(paths(reply), ['decision', 'choices', 'data.s', 'data.n', 'args.charge', 'args.amount', 'comment'])
    assert.deepEqual(await read(id), before)
    assert.match(
      (await answer(id, { decision: 'acknowledge', comment: 'x' })).body.errors[0].message,
      /approve, reject/,
    )
  })

  for (const [risk, body, outcome] of [
    ['low', { decision: 'approve' }, 200],
    ['medium', { decision: 'approve' }, 200],
    ['high', { decision: 'approve' }, 403],
    ['high', { decision: 'approve', confirmation: { acknowledged: true } }, 200],
    ['high', { decision: 'reject' }, 422],
    ['high', { decision: 'reject', comment: 'no' }, 200],
    ['critical', { decision: 'approve', confirmation: { acknowledged: true } }, 403],
    ['critical', { decision: 'approve', confirmation: { typed: 'May I?' } }, 403],
    ['critical', { decision: 'approve', confirmation: { typed: 'vol-1' } }, 200],
    ['critical', { decision: 'reject', comment: 'no' }, 200],
  ] as const) {
    test(`of ${risk} risk, ${JSON.stringify(body)}: ${outcome}`, async () => {
      const id = await asked({ risk, presentation: { target: 'vol-1' } })
      const reply = await answer(id, body)
      assert.equal(reply.status, outcome, reply.text)
      if (outcome === 403) {
        assert.equal(reply.body.code, 'consultation.confirmation_required')
        assert.deepEqual(
          reply.body.confirmed_by,
          risk === 'high' ? ['acknowledged', 'typed', 'step_up'] : ['typed', 'step_up'],
        )
        assert.equal((await read(id)).state, 'pending')
      }
    })
  }

  test('of critical risk is confirmed by a step-up for this very call, once', async () => {
    const id = await asked({ risk: 'critical', action: { name: 'x', args: {} } })
    const body = { decision: 'approve' }
    const { token: as } = await newPerson(t)
    const answer = (sent: object, headers: Record<string, string>) =>
      t.call('POST', `${path}/${id}/respond`, { as, body: sent, headers })
    const wrong = await answer(body, { 'x-step-up': 'nothing' })
    assert.deepEqual([wrong.status, wrong.body.code], [403, 'auth.step_up_required'])
    const { digest } = wrong.body
    const earned = await t.call('POST', '/api/v1/auth/step-up', {
      as,
      body: { digest, method: 'password', password },
    })
    assert.equal(earned.status, 200, earned.text)
    const headers = { 'x-step-up': earned.body.step_up }
    const other = await answer({ ...body, comment: 'x' }, headers)
    assert.deepEqual([other.status, other.body.code], [403, 'auth.step_up_required'], 'it is for the other body')
    const reply = await answer(body, headers)
    assert.equal(reply.status, 200, reply.text)
    const [event] = await recordedEvents(t.sql, { subject: id, kinds: ['request.responded'] })
    assert.equal(event?.after.confirmation, 'step_up')
  })

  test('is repeated under its Idempotency-Key with the same bytes', async () => {
    const id = await asked({ action: refund, answer: { edit_args: true }, risk: 'high' })
    const body = {
      decision: 'approve',
      args: { charge: 'ch_1', amount: 1 },
      comment: 'x',
      confirmation: { acknowledged: true },
    }
    const headers = { 'idempotency-key': 'answer-1' }
    const [first, second] = [await answer(id, body, headers), await answer(id, body, headers)]
    assert.equal(first.status, 200, first.text)
    assert.equal(second.text, first.text)
  })
})

test('the evidence pack has all of it, and agrees with itself; the page shows it', async () => {
  const form = { type: 'object', properties: { a: { type: 'string' } } }
  const presentation = { target: 'the-target' }
  const id = await asked({
    action: refund,
    answer: { edit_args: true, form },
    justification: 'the-reason',
    presentation,
    risk: 'high',
  })
  const confirmation = { acknowledged: true }
  await answered(id, {
    decision: 'approve',
    data: { a: 'the-value' },
    args: { charge: 'the-charge', amount: 1 },
    comment: 'x',
    confirmation,
  })
  const as = t.admin.token
  const pack = await t.call('GET', `${path}/${id}/evidence`, { as })
  assert.deepEqual(
    pack.body.checks.filter(({ result }: { result: string }) => result === 'fails'),
    [],
  )
  assert.equal(pack.body.request.response.args.charge, 'the-charge')
  const page = await t.call('GET', `${path}/${id}/evidence?format=html`, { as })
  const [shown = ''] = page.text.split('<h2>What happened</h2>')
  for (const part of ['the-reason', 'the-target', 'the-value', 'the-charge', 'refunds.create', 'high']) {
    assert.ok(shown.includes(part), part)
  }
})

test('an erasure reaches what was asked and what was answered', async () => {
  const form = { type: 'object', properties: { a: { type: 'string' } } }
  const fields = {
    action: refund,
    answer: { edit_args: true, form },
    justification: 'j',
    presentation: { target: 'p' },
    tags: ['t'],
    run_id: 'r',
  }
  const [whole, person] = [await asked(fields), await asked(fields)]
  const { token: as, id: userId } = await newPerson(t)
  for (const id of [whole, person]) {
    const body = { decision: 'approve', comment: 'c', data: { a: 'x' }, args: { charge: 'y', amount: 1 } }
    assert.equal((await t.call('POST', `${path}/${id}/respond`, { as, body })).status, 200)
  }
  const owner = await newPerson(t, 'owner')
  const erase = (body: object) =>
    t.call('POST', '/api/v1/events/erasures', { as: owner.token, body: { reason: 'case 1', ...body } })
  assert.equal((await erase({ request_id: whole })).status, 200)
  const { action, answer: spec, justification, presentation, tags, run_id, response, state } = await read(whole)
  assert.deepEqual(
    [action, spec, justification, presentation, tags, run_id, state],
    [null, null, null, null, [], null, 'responded'],
  )
  assert.deepEqual([response.comment, response.data, response.args, response.args_patch], [null, null, null, null])
  assert.equal((await erase({ user_id: userId })).status, 200)
  const left = await t.call('GET', `${path}/${person}`, { as: t.apiKey })
  assert.equal(left.status, 200, left.text)
  assert.deepEqual(
    [left.body.response.data, left.body.response.args, left.body.action.name],
    [null, null, 'refunds.create'],
  )
  // Null arguments would mean those that were proposed.
  const used = await t.call('POST', `${path}/${person}/redeem`, { as: t.apiKey })
  assert.deepEqual([used.status, used.body.code], [409, 'consultation.erased'])
})

test('an approval of what was proposed can be used after its person was erased', async () => {
  const id = await asked({ action: refund, answer: { edit_args: true } })
  const { token: as, id: userId } = await newPerson(t)
  const body = { decision: 'approve', comment: 'c' }
  assert.equal((await t.call('POST', `${path}/${id}/respond`, { as, body })).status, 200)
  const admin = await newPerson(t, 'admin')
  const erasure = { as: admin.token, body: { reason: 'case 2', user_id: userId } }
  assert.equal((await t.call('POST', '/api/v1/events/erasures', erasure)).status, 200)
  assert.equal((await t.call('POST', `${path}/${id}/redeem`, { as: t.apiKey })).status, 200)
})

describe('large parts', () => {
  const note = 'x'.repeat(5_000)
  test('are left out of lists, and whole in the request and with fields=full', async () => {
    const large = { ...refund, args_schema: undefined, args: { note } }
    const form = {
      type: 'object',
      properties: { note: { type: 'string' } },
      description: 'y'.repeat(3_900),
      title: 'z'.repeat(250),
    }
    const id = await asked({ action: large, answer: { form, edit_args: true }, presentation: { consequences: note } })
    await answered(id, { decision: 'approve', data: { note }, args: { note: `${note}!` } })
    const find = async (query: string) =>
      (await t.call('GET', `${path}?limit=1${query}`, { as: t.reviewer.token })).body.items[0]
    const light = await find('')
    assert.equal(light.id, id)
    assert.deepEqual(
      [
        light.action,
        light.answer,
        light.presentation,
        light.response.data,
        light.response.args,
        light.response.args_patch,
      ],
      [{ name: 'refunds.create', args: {} }, null, null, null, null, null],
    )
    const { action_truncated, answer_truncated, presentation_truncated, response_truncated } = light
    assert.deepEqual(
      [action_truncated, answer_truncated, presentation_truncated, response_truncated],
      [true, true, true, true],
    )
    const shown = await read(id)
    assert.deepEqual([shown.response.data, shown.action.args], [{ note }, { note }])
    const full = await find('&fields=full')
    assert.deepEqual(
      [full.action, full.answer, full.presentation, full.response],
      [shown.action, shown.answer, shown.presentation, shown.response],
    )
  })

  test('of more than 32 KiB are digested beside the loop, and still hold', async () => {
    const args = { list: Array.from({ length: 8_000 }, (_, at) => at) }
    const id = await asked({ action: { name: 'x', args }, answer: { edit_args: true } })
    const edited = { list: args.list.toReversed() }
    const { certificate } = await answered(id, { decision: 'approve', args: edited })
    assert.equal(claimsOf(certificate).args_digest, sha256OfJson(edited))
    assert.equal((await t.call('GET', `${path}/${id}/certificate`, { as: t.apiKey })).status, 200)
    const kept = await asked({ action: { name: 'x', args } })
    assert.equal(claimsOf((await answered(kept, { decision: 'approve' })).certificate).args_digest, sha256OfJson(args))
  })
})

describe('what was changed in the database', () => {
  const contradicted = async (id: string, statement: string): Promise<unknown> => {
    await t.sql(statement.replaceAll('$id', `'${id}'`))
    const reply = await t.call('GET', `${path}/${id}`, { as: t.apiKey })
    assert.equal(reply.status, 409, reply.text)
    return [reply.body.code, reply.body.differs]
  }
  for (const [what, statement, differs] of [
    [
      'the args that were approved',
      `update consultation_answers set args = '{"charge":"ch_1","amount":50}' where request_id = $id`,
      ['args_digest'],
    ],
    ['no args', `update consultation_answers set args = null where request_id = $id`, ['args_digest']],
    ['the data', `update consultation_answers set data = '{"a":"y"}' where request_id = $id`, ['data_digest']],
    ['no data', `update consultation_answers set data = null where request_id = $id`, ['data_digest']],
  ] as const) {
    test(`${what}: 409 naming the claim`, async () => {
      const form = { type: 'object', properties: { a: { type: 'string' } } }
      const id = await asked({ action: refund, answer: { edit_args: true, form } })
      await answered(id, { decision: 'approve', data: { a: 'x' }, args: { charge: 'ch_1', amount: 1 } })
      assert.deepEqual(await contradicted(id, statement), ['consultation.certificate_contradicts', differs])
    })
  }
  for (const [what, statement] of [
    ['the action', `update consultation_requests set action = '{"name":"x","args":{"a":2}}' where id = $id`],
    ['what is asked for', `update consultation_requests set answer_asked = null where id = $id`],
    ['the reason', `update consultation_requests set justification = 'other' where id = $id`],
    ['how it is shown', `update consultation_requests set presentation = '{"target":"other"}' where id = $id`],
  ] as const) {
    test(`${what}: 409 consultation.question_changed`, async () => {
      const id = await asked({
        action: { name: 'x', args: { a: 1 } },
        answer: { edit_args: true },
        justification: 'why',
        presentation: { target: 'x' },
      })
      assert.deepEqual(await contradicted(id, statement), ['consultation.question_changed', ['digest']])
    })
  }
})
