/** What the sample agents ask: a Monday's worth, with every kind of question once. In the order in which it comes in. */

export interface Sample {
  /** The agent's name. */
  readonly by: string
  /** A body of POST /requests. */
  readonly asks: Readonly<Record<string, unknown>> & { readonly title: string }
  readonly files?: readonly SampleFile[]
  /** What happens to it afterwards, in this order. */
  readonly next?: readonly Step[]
}

interface SampleFile {
  readonly name: string
  readonly mediaType: string
  readonly content: Buffer
}

type Body = Readonly<Record<string, unknown>>

/** Bodies of the calls of the same names; `withdraws` has none. */
export type Step =
  | { readonly act: 'answers' | 'revises' | 'reports'; readonly body: Body }
  | { readonly act: 'withdraws' }

const shop = 'shop-agent'
const release = 'release-agent'
const whole = { timeout_minutes: null }

const done: readonly Sample[] = [
  {
    by: release,
    asks: {
      ...whole,
      title: 'Delete 3 unused volumes in production?',
      description: 'They have not been attached for 90 days.',
      context: { volumes: ['vol-1', 'vol-2', 'vol-3'], monthly_cost: 42.5 },
      action: { name: 'volumes.delete', args: { ids: ['vol-1', 'vol-2', 'vol-3'] } },
      answer: { edit_args: true },
      tags: ['cleanup'],
    },
    next: [
      {
        act: 'answers',
        body: {
          decision: 'approve',
          args: { ids: ['vol-1', 'vol-3'] },
          comment: 'Keep vol-2 until the audit is over.',
        },
      },
      {
        act: 'reports',
        body: { status: 'executed', detail: 'vol-1 and vol-3 are deleted.', data: { freed_gib: 83 } },
      },
    ],
  },
  {
    by: shop,
    asks: {
      ...whole,
      title: 'Block the account of customer 2201?',
      context: { customer: 2201, orders: 14, chargebacks: 1 },
      action: { name: 'customers.block', args: { customer: 2201 } },
      justification: 'One chargeback in March.',
    },
    next: [{ act: 'answers', body: { decision: 'reject', comment: 'One chargeback in 14 orders is no reason.' } }],
  },
  {
    by: release,
    asks: { ...whole, title: 'Roll web back to 5.2.1?', context: { version: '5.2.2', errors_per_minute: 31 } },
    next: [{ act: 'withdraws' }],
  },
]

const open: readonly Sample[] = [
  {
    by: shop,
    asks: {
      ...whole,
      title: 'Send the newsletter to 12 840 subscribers?',
      context: { subject: 'What is new in spring', audience: 'all', links_checked: true },
      hold_seconds: 30,
      presentation: { consequences: 'Mails that are sent cannot be called back.', reversible: false },
      tags: ['newsletter'],
    },
  },
  {
    by: release,
    asks: {
      ...whole,
      title: 'The nightly backup took 2 h 10 min instead of 40 min',
      context: { job: 'backup-nightly', started: '2026-03-02T01:00:00Z', gigabytes: 412, finished: true },
      justification: 'It is complete and was checked. Since Friday the table `page_views` has doubled.',
      answer: { decisions: ['acknowledge'] },
      risk: 'low',
      priority: 'low',
      tags: ['backup'],
    },
  },
  {
    by: shop,
    asks: {
      ...whole,
      title: 'Tag ticket 5120 as a billing question?',
      context: { ticket: 5120, subject: 'I was charged twice in February' },
      action: { name: 'tickets.tag', args: { ticket: 5120, tag: 'billing' } },
      risk: 'low',
      tags: ['support'],
    },
  },
  {
    by: release,
    asks: {
      ...whole,
      title: 'Which migration window suits the warehouse?',
      context: { migration: '0042_split_orders', expected_minutes: 12 },
      answer: {
        decisions: [],
        options: {
          mode: 'single',
          items: [
            { id: 'tue-02', label: 'Tuesday, 02:00', description: 'Before the first delivery is picked.' },
            { id: 'sun-22', label: 'Sunday, 22:00', description: 'Longest quiet time of the week.' },
            { id: 'none', label: 'Not this week', requires_comment: true },
          ],
        },
      },
    },
  },
  {
    by: shop,
    asks: {
      ...whole,
      title: 'Which of these reviews may be published?',
      context: {
        reviews: [
          { id: 'r-81', stars: 5, text: 'Arrived within two days, well packed.' },
          { id: 'r-82', stars: 1, text: 'Call me on 555 0132, the shop does not answer.' },
          { id: 'r-83', stars: 4, text: 'Good lamp, short cable.' },
        ],
      },
      answer: {
        decisions: [],
        options: {
          mode: 'multiple',
          min: 0,
          items: [
            { id: 'r-81', label: 'r-81, 5 stars' },
            { id: 'r-82', label: 'r-82, 1 star', description: 'Names a telephone number.' },
            { id: 'r-83', label: 'r-83, 4 stars' },
          ],
        },
      },
      risk: 'low',
    },
  },
  {
    by: shop,
    asks: {
      ...whole,
      title: 'Rank the three best headlines of the spring sale',
      context: { audience: 'all subscribers', last_year: 'Spring is here, so is 20 %' },
      answer: {
        decisions: [],
        options: {
          mode: 'ranked',
          max: 3,
          items: [
            { id: 'light', label: 'Let there be more light' },
            { id: 'green', label: 'Everything green, 20 % off' },
            { id: 'open', label: 'Open the windows' },
            { id: 'early', label: 'Spring came early' },
          ],
        },
      },
      risk: 'low',
    },
  },
  {
    by: shop,
    asks: {
      ...whole,
      title: 'When does the team meet in Lisbon, and what may it cost?',
      context: { people: 12, city: 'Lisbon', offers_until: '2026-03-06' },
      justification: 'I book as soon as the month and the budget are known.',
      answer: {
        decisions: [],
        form: {
          type: 'object',
          properties: {
            month: { type: 'string', title: 'Month', enum: ['May', 'June', 'September'] },
            budget: { type: 'integer', title: 'Budget', minimum: 0, maximum: 50_000, 'x-unit': 'EUR' },
            hotel: { type: 'boolean', title: 'With a hotel', default: true },
            remarks: { type: 'string', title: 'Remarks', maxLength: 500, 'x-multiline': true },
          },
          required: ['month', 'budget'],
          additionalProperties: false,
        },
      },
    },
  },
  {
    by: shop,
    asks: {
      ...whole,
      title: 'What should we answer to the question about the warranty?',
      context: { ticket: 5131, question: 'Does the warranty cover a lamp that I repaired myself?' },
      answer: { decisions: [], comment: 'required' },
    },
  },
  {
    by: shop,
    asks: {
      ...whole,
      title: 'Mail Dana Schmidt about the delay of order 812?',
      context: {
        customer: 'Dana Schmidt',
        order: 812,
        draft_of_friday:
          'Dear Dana,\n\nyour order leaves our warehouse tomorrow and arrives on Thursday.\nWe are sorry for the delay.\n\nYour shop',
      },
      action: {
        name: 'mail.send',
        args: {
          to: 'dana.schmidt@example.com',
          subject: 'Your order 812',
          body:
            'Dear Dana,\n\nyour order left our warehouse this morning and arrives on Thursday.\nWe are sorry for the delay, ' +
            'and send you a voucher of 10 EUR.\n\nYour shop',
        },
        args_schema: {
          type: 'object',
          properties: {
            to: { type: 'string', format: 'email', title: 'To' },
            subject: { type: 'string', minLength: 1, maxLength: 200, title: 'Subject' },
            body: { type: 'string', minLength: 1, maxLength: 5_000, title: 'Text', 'x-multiline': true },
          },
          required: ['to', 'subject', 'body'],
          additionalProperties: false,
        },
      },
      answer: { edit_args: true },
      justification: 'The draft of Friday is out of date: the parcel is on its way.',
      presentation: {
        hints: { '/action/args/body': { render: 'diff', before: '/context/draft_of_friday' } },
        reversible: false,
      },
      tags: ['support'],
    },
  },
  {
    by: shop,
    asks: {
      ...whole,
      title: 'Import these 4 products into the catalogue?',
      context: { supplier: 'Nordlys AS', products: 4, currency: 'EUR' },
      justification: 'The price list of the supplier is attached.',
      tags: ['catalogue'],
    },
    files: [
      {
        name: 'prices.csv',
        mediaType: 'text/csv',
        content: Buffer.from(
          'sku,name,price\nL-100,Table lamp,49.00\nL-110,Floor lamp,129.00\nL-120,Wall lamp,39.00\nL-130,Shade,19.00\n',
        ),
      },
    ],
  },
  {
    by: shop,
    asks: {
      ...whole,
      title: 'Which delivery note belongs to order 790?',
      context: { order: 790, supplier: 'Nordlys AS', missing: 'delivery note' },
      answer: { decisions: [], attachments: { min: 1, max: 2, media_types: ['application/pdf', 'image/*'] } },
    },
  },
  {
    by: release,
    asks: {
      ...whole,
      title: 'Merge PR 512: time out calls to the payment provider',
      context: { repository: 'shop/web', pull_request: 512, author: 'kim', checks: 'passed', reviews: 1 },
      action: {
        name: 'pull_requests.merge',
        args: {
          pull_request: 512,
          method: 'squash',
          files: [
            {
              path: 'src/payments.ts',
              before: 'const reply = await fetch(url, { method, body })\n',
              after: 'const reply = await fetch(url, { method, body, signal: AbortSignal.timeout(10_000) })\n',
            },
          ],
        },
      },
      justification: 'Calls hung for **15 minutes** on Saturday. Now they fail after 10 seconds and are repeated.',
      presentation: { source_url: 'https://git.example.com/shop/web/pulls/512', reversible: true },
      run_id: 'release-5.3.0',
      tags: ['release'],
    },
  },
  {
    by: shop,
    asks: {
      ...whole,
      title: 'Refund 80.00 EUR to order 813?',
      context: { order: 813, paid: '80.00', postage: '4.90', currency: 'EUR', reason: 'returned' },
      action: { name: 'payments.refund', args: { order: 813, amount: '80.00', currency: 'EUR' } },
      justification: 'The parcel came back on Friday.',
      tags: ['refund'],
    },
    next: [
      { act: 'answers', body: { decision: 'request_changes', comment: 'Without the postage, please.' } },
      {
        act: 'revises',
        body: {
          ...whole,
          title: 'Refund 75.10 EUR to order 813?',
          context: { order: 813, paid: '80.00', postage: '4.90', currency: 'EUR', reason: 'returned' },
          action: { name: 'payments.refund', args: { order: 813, amount: '75.10', currency: 'EUR' } },
          justification: 'The parcel came back on Friday. The postage is left out now.',
          presentation: { hints: { '/action/args/amount': { render: 'money', currency: 'EUR' } } },
          tags: ['refund'],
          revision: 1,
        },
      },
    ],
  },
  {
    by: release,
    asks: {
      title: 'Deploy web 5.3.0 to production?',
      context: { version: '5.3.0', previous: '5.2.1', changes: 23, tests: 'passed', canary_minutes: 30 },
      action: {
        name: 'deployments.create',
        args: { service: 'web', version: '5.3.0', command: 'kubectl -n shop set image deployment/web web=web:5.3.0' },
      },
      justification: 'The canary ran for half an hour without an error.',
      presentation: {
        hints: { '/action/args/command': { render: 'shell' } },
        environment: 'production',
        target: 'web',
        consequences: 'Customers get 5.3.0 within five minutes. `kubectl rollout undo` brings 5.2.1 back.',
        reversible: true,
      },
      risk: 'high',
      priority: 'high',
      run_id: 'release-5.3.0',
      tags: ['release'],
      timeout_minutes: 480,
    },
  },
  {
    by: shop,
    asks: {
      title: 'Refund 640.00 EUR to order 4711?',
      context: { order: 4711, paid: '640.00', currency: 'EUR', customer_since: 2019, refunds_before: 0 },
      action: { name: 'payments.refund', args: { order: 4711, amount: '640.00', currency: 'EUR' } },
      justification: 'The customer reports broken glass; the photo is convincing.',
      presentation: {
        hints: { '/action/args/amount': { render: 'money', currency: 'EUR' } },
        environment: 'production',
        target: 'order 4711',
        consequences: 'The money leaves at once and cannot be called back.',
        reversible: false,
      },
      risk: 'high',
      priority: 'urgent',
      tags: ['refund'],
      timeout_minutes: 50,
    },
  },
  {
    by: release,
    asks: {
      ...whole,
      title: 'Delete 48 210 sessions that have expired?',
      context: { database: 'shop', table: 'sessions', rows: 48_210, oldest: '2024-11-02' },
      action: {
        name: 'sql.execute',
        args: {
          statement: "delete from sessions\nwhere expires_at < now() - interval '90 days'\n  and user_id is null",
        },
      },
      justification: 'The table is 9 GB, and 8 of them are sessions that nobody can use any more.',
      presentation: {
        hints: { '/action/args/statement': { render: 'sql' } },
        environment: 'production',
        target: 'sessions',
        consequences: 'What is deleted is only in the backup of last night.',
        reversible: false,
      },
      risk: 'critical',
      priority: 'high',
      tags: ['database'],
    },
  },
]

export const samples: readonly Sample[] = [...done, ...open]
