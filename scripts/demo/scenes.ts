import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { type Caller, say, show } from './client.ts'

/** What an agent asks and what it makes of the answers. Each scene ends with what has to be true. */

export interface Parties {
  readonly agent: Caller
  readonly person: Caller
}

type Scene = (parties: Parties) => Promise<void>

const at = (id: string, act = ''): string => `/requests/${id}${act}`

const edited: Scene = async ({ agent, person }) => {
  say('The agent lets the person edit what it would do, carries out what was approved, once, and says what came of it:')
  const mailbox: string[] = []
  const { id } = await agent.call('POST', '/requests', {
    title: 'Mail Dana Schmidt about the delay of order 812?',
    context: { order: 812 },
    action: { name: 'mail.send', args: { to: 'dana.schmidt@example.com', voucher: 10 } },
    answer: { edit_args: true },
  })
  await person.call('POST', at(id, '/respond'), {
    decision: 'approve',
    args: { to: 'dana.schmidt@example.com', voucher: 5 },
    comment: '5 EUR are enough.',
  })
  const { digest, response, action } = await agent.call('GET', at(id))
  await agent.call('POST', at(id, '/redeem'), { digest })
  const args = response.args ?? action.args
  mailbox.push(`to ${args.to}, with a voucher of ${args.voucher} EUR`)
  const { state } = await agent.call('POST', at(id, '/outcome'), { status: 'executed', data: { mail: mailbox[0] } })
  show({ state, args_patch: response.args_patch, mailbox })
  assert.deepEqual([state, mailbox], ['completed', ['to dana.schmidt@example.com, with a voucher of 5 EUR']])
  await agent.refused('consultation.already_completed', at(id, '/outcome'), { status: 'failed' })
}

const revised: Scene = async ({ agent, person }) => {
  say('The person asks for changes, and the agent asks again under the same id. High risk takes a confirmation:')
  const refund = (amount: string) => ({
    title: `Refund ${amount} EUR to order 813?`,
    context: { order: 813, paid: '80.00', postage: '4.90' },
    action: { name: 'payments.refund', args: { order: 813, amount, currency: 'EUR' } },
    risk: 'high',
  })
  const { id } = await agent.call('POST', '/requests', refund('80.00'))
  const comment = 'Without the postage, please.'
  await person.call('POST', at(id, '/respond'), { decision: 'request_changes', comment })
  const { response } = await agent.call('GET', at(id))
  assert.deepEqual([response.decision, response.comment], ['request_changes', comment])
  await agent.call('POST', at(id, '/revisions'), { ...refund('75.10'), revision: 1 })
  const decision = { decision: 'approve', revision: 2 }
  await person.refused('consultation.confirmation_required', at(id, '/respond'), decision)
  await person.call('POST', at(id, '/respond'), { ...decision, confirmation: { acknowledged: true } })
  const { items } = await agent.call('GET', at(id, '/revisions'))
  show({ revision: items[0].revision, patch: items[0].patch })
  assert.equal((await agent.call('GET', at(id))).response.revision, 2)
}

const kinds: Scene = async ({ agent, person }) => {
  say(
    'In one call the agent asks what it cannot know: a choice of one, of several, a ranking, a form, a text, a notice:',
  )
  const items = ['light', 'green', 'open'].map((one) => ({ id: one, label: `Headline "${one}"` }))
  const options = (mode: string) => ({ decisions: [], options: { mode, items } })
  const form = {
    type: 'object',
    properties: { month: { type: 'string', enum: ['May', 'June'] }, budget: { type: 'integer', minimum: 0 } },
    required: ['month', 'budget'],
    additionalProperties: false,
  }
  const asked = [
    [{ title: 'Which headline?', answer: options('single') }, { choices: ['green'] }],
    [{ title: 'Which ones are fine?', answer: options('multiple') }, { choices: ['light', 'green'] }],
    [{ title: 'In which order?', answer: options('ranked') }, { choices: ['green', 'open', 'light'] }],
    [{ title: 'When, and for how much?', answer: { decisions: [], form } }, { data: { month: 'May', budget: 9000 } }],
    [
      { title: 'What should the reply say?', answer: { decisions: [], comment: 'required' } },
      { comment: 'It is paid.' },
    ],
    [{ title: 'The backup was late', answer: { decisions: ['acknowledge'] } }, { decision: 'acknowledge' }],
  ] as const
  const requests = asked.map(([ask]) => ({ ...ask, context: {}, run_id: 'demo' }))
  const made = (await agent.call('POST', '/requests/batch', { requests })).items
  for (const [n, [, answer]] of asked.entries()) {
    await person.call('POST', at(made[n].id, '/respond'), answer)
    const { response } = await agent.call('GET', at(made[n].id))
    for (const [name, value] of Object.entries(answer)) assert.deepEqual(response[name], value)
  }
}

const files: Scene = async ({ agent, person }) => {
  say('The agent adds a file to its question, and gets one with the answer. The certificate has the SHA-256 of both:')
  const { id } = await agent.call('POST', '/requests', {
    title: 'Import these prices? Then I need the signed offer.',
    context: { supplier: 'Nordlys AS' },
    answer: { attachments: { min: 1, media_types: ['text/plain'] } },
  })
  await agent.attach(at(id, '/attachments'), 'prices.csv', 'text/csv', 'sku,price\nL-100,49.00\n')
  const offer = await person.attach(at(id, '/attachments'), 'offer.txt', 'text/plain', 'Signed: Nordlys AS\n')
  await person.call('POST', at(id, '/respond'), { decision: 'approve', attachments: [offer.id] })
  const [file] = (await agent.call('GET', at(id))).response.attachments
  const content = await agent.download(at(id, `/attachments/${file.id}`))
  show({ name: file.name, sha256: file.sha256, content: content.toString() })
  assert.equal(createHash('sha256').update(content).digest('hex'), file.sha256)
}

const held: Scene = async ({ agent, person }) => {
  say('A decision that is held back can be taken back. The agent, which waits, hears of the second one only:')
  const { id } = await agent.call('POST', '/requests', { title: 'Send the newsletter?', context: { readers: 12_840 } })
  await person.call('POST', at(id, '/respond'), { decision: 'approve', hold_seconds: 30 })
  assert.equal((await agent.call('GET', at(id))).state, 'pending')
  await person.call('POST', at(id, '/undo'))
  const waiting = agent.call('GET', at(id, '/wait?timeout_seconds=20'))
  await person.call('POST', at(id, '/respond'), { decision: 'reject', comment: 'The second link is wrong.' })
  const { state, response } = await waiting
  show({ state, decision: response.decision, comment: response.comment })
  assert.deepEqual([state, response.decision], ['responded', 'reject'])
}

const critical: Scene = async ({ agent, person }) => {
  say('At critical risk the name of the target has to be typed:')
  const { id } = await agent.call('POST', '/requests', {
    title: 'Drop the table of the orders of 2019?',
    context: { rows: 48_210 },
    action: { name: 'sql.execute', args: { statement: 'drop table orders_2019' } },
    presentation: { target: 'orders_2019', reversible: false },
    risk: 'critical',
  })
  const approval = { decision: 'approve', confirmation: { typed: 'orders_2018' } }
  await person.refused('consultation.confirmation_required', at(id, '/respond'), approval)
  await person.call('POST', at(id, '/respond'), { ...approval, confirmation: { typed: 'orders_2019' } })
  await agent.call('POST', at(id, '/redeem'), {})
  const failed = { status: 'failed', detail: 'The table is still read by the report of Mondays.' }
  const { state, outcome } = await agent.call('POST', at(id, '/outcome'), failed)
  show({ state, outcome: outcome.status })
  assert.deepEqual([state, outcome.status], ['completed', 'failed'])
}

const withdrawn: Scene = async ({ agent, person }) => {
  say('The agent needs no answer any more:')
  const { id } = await agent.call('POST', '/requests', { title: 'Roll web back to 5.2.1?', context: { errors: 31 } })
  const { state } = await agent.call('POST', at(id, '/cancel'))
  assert.equal(state, 'cancelled')
  await person.refused('consultation.already_cancelled', at(id, '/respond'), { decision: 'approve' })
}

export const scenes: readonly Scene[] = [edited, revised, kinds, files, held, critical, withdrawn]
