import type { Schemas } from '../api/client.ts'
import { dateFormat } from '../words/formats.ts'
import { region, say } from '../words/say.ts'

const month = (number: number): string =>
  dateFormat(region(), { month: 'long', timeZone: 'UTC' }).format(Date.UTC(2026, number - 1))

/** One of each kind, so that a person has seen them before the first real one comes. */
export const practiceRequests = (): Schemas['CreateRequest'][] => [
  {
    title: say('practice.low.title'),
    context: { ticket: 4711, subject: say('practice.low.subject'), tags: ['new'] },
    action: { name: 'ticket.tag', args: { ticket: 4711, tag: 'billing' } },
    justification: say('practice.low.why'),
    risk: 'low',
    timeout_minutes: null,
  },
  {
    title: say('practice.edit.title'),
    context: { customer: 'Dana Schmidt', order: 812, earlier_draft: say('practice.edit.before') },
    action: {
      name: 'mail.send',
      args: {
        to: 'dana.schmidt@example.com',
        subject: say('practice.edit.subject'),
        body: say('practice.edit.body'),
      },
    },
    answer: { edit_args: true },
    justification: say('practice.edit.why'),
    presentation: {
      hints: { '/action/args/body': { render: 'diff', before: '/context/earlier_draft' } },
      reversible: false,
    },
    risk: 'medium',
    timeout_minutes: null,
  },
  {
    title: say('practice.form.title'),
    context: { people: 12, city: 'Lisbon' },
    answer: {
      decisions: [],
      form: {
        type: 'object',
        properties: {
          month: { type: 'string', title: say('practice.form.month'), enum: [5, 6, 9].map(month) },
          budget: { type: 'integer', title: say('practice.form.budget'), minimum: 0, maximum: 50_000 },
          remarks: { type: 'string', title: say('practice.form.remarks'), maxLength: 500 },
        },
        required: ['month', 'budget'],
        additionalProperties: false,
      },
    },
    risk: 'medium',
    timeout_minutes: null,
  },
  {
    title: say('practice.high.title'),
    context: { order: 812, customer_since: 2019, refunds_before: 0 },
    action: { name: 'payment.refund', args: { order: 812, amount: '40.00', currency: 'EUR' } },
    justification: say('practice.high.why'),
    presentation: {
      consequences: say('practice.high.consequences'),
      environment: 'practice',
      target: 'order #812',
      reversible: false,
    },
    risk: 'high',
    timeout_minutes: null,
  },
]
