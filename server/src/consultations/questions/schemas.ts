import { type TSchema, Type } from 'typebox'
import { line, nullable, uuid } from '../../http/schema-parts.ts'
import { says } from '../../platform/validation.ts'
import { mediaRange, mostFiles } from './answer-files.ts'
import { commentRules, decisions, optionModes } from './question.ts'
import { defaultPriority, defaultRisk, priorities, risks } from './tiers.ts'

/** The wire shapes of questions and answers, with an example of each. */

const maybe = <T extends TSchema>(schema: T) => Type.Optional(nullable(schema))
const free = (description: string) => Type.Object({}, { additionalProperties: true, description })

export const decision = Type.Enum(decisions, {
  title: 'Decision',
  description: 'What was decided. request_changes: ask again, differently. acknowledge: it was read.',
})

export const risk = Type.Enum(risks, {
  title: 'Risk',
  description:
    'How much care a decision takes. low, medium: one step. high: a confirmation with an approval, a reason with a rejection. ' +
    'critical: the name of the target, or a step-up, with an approval.',
})
export const priority = Type.Enum(priorities, {
  title: 'RequestPriority',
  description: 'How soon it should be looked at.',
})

/** What is sent is closed, what is returned is not, so each has a title of its own. */
type Place = '' | 'Request'

/** What is returned was checked when it was sent. */
const named = (of: Place, { maxLength = 255, description }: { maxLength?: number; description: string }) =>
  of === '' ? line({ maxLength, description }) : Type.String({ description })

const action = (of: Place) =>
  Type.Object(
    {
      name: named(of, { description: 'What would be called, such as refunds.create.' }),
      args: free('Its arguments, returned exactly as sent.'),
      args_schema: maybe(free('A schema of the subset at GET /answer-schema, which the arguments fit, edited or not.')),
    },
    { title: `${of}Action`, description: 'What the agent would do; it is part of the digest.' },
  )

const option = (of: Place) =>
  Type.Object(
    {
      id: Type.String({ minLength: 1, maxLength: 64, description: 'What the answer names.' }),
      label: named(of, { description: 'What people read.' }),
      description: maybe(Type.String({ maxLength: 2_000, description: 'What it means.' })),
      requires_comment: Type.Optional(Type.Boolean({ description: 'Whoever chooses it has to say why.' })),
    },
    { title: `${of}Option` },
  )

const options = (of: Place) =>
  Type.Object(
    {
      mode: Type.Enum(optionModes, { title: 'OptionMode', description: 'ranked: chosen in an order, the best first.' }),
      min: Type.Optional(
        Type.Integer({ minimum: 0, maximum: 100, description: 'Default: 1; of a ranking as many as `max`.' }),
      ),
      max: Type.Optional(
        Type.Integer({ minimum: 1, maximum: 100, description: 'Default: 1 of single, all of the others.' }),
      ),
      items: Type.Array(option(of), { minItems: 2, maxItems: 100, description: 'In the order to be shown.' }),
    },
    { title: `${of}Options`, description: 'Choices of the agent.' },
  )

const filesAsked = (of: Place) =>
  Type.Object(
    {
      min: Type.Optional(
        Type.Integer({
          minimum: 0,
          maximum: mostFiles,
          description: 'Default: 0. Rejecting, or asking for changes, needs none.',
        }),
      ),
      max: Type.Optional(Type.Integer({ minimum: 1, maximum: mostFiles, description: `Default: ${mostFiles}.` })),
      media_types: Type.Optional(
        Type.Array(
          Type.String({
            maxLength: 255,
            pattern: says(mediaRange, 'must be a media type such as image/png, or image/* for all images'),
            description: 'Such as application/pdf, or image/*.',
          }),
          { minItems: 1, maxItems: 20, uniqueItems: true, description: 'Of which types they may be. Default: any.' },
        ),
      ),
    },
    { title: `${of}FilesAsked`, description: 'Files that the answer may have.' },
  )

const answerAsked = (of: Place) =>
  Type.Object(
    {
      decisions: maybe(
        Type.Array(decision, {
          maxItems: 4,
          uniqueItems: true,
          description: 'In the order to be shown. Left out: approve, reject, request_changes. []: no decision.',
        }),
      ),
      options: maybe(options(of)),
      form: maybe(free('A schema of the subset at GET /answer-schema, whose values the answer has in `data`.')),
      edit_args: Type.Optional(
        Type.Boolean({ description: 'Whoever approves may change action.args; types stay, and args_schema holds.' }),
      ),
      comment: Type.Optional(
        Type.Enum(commentRules, { title: 'CommentRule', description: 'Default: optional. none: not wanted.' }),
      ),
      attachments: maybe(filesAsked(of)),
    },
    { title: `${of}AnswerAsked`, description: 'What is asked for. Left out: approve, reject or request_changes.' },
  )

const presentation = (of: Place) =>
  Type.Object(
    {
      hints: maybe(
        free(
          'How to show parts of context and action.args: {"<JSON Pointer, such as /action/args/body>": {render, label, language, ' +
            'before, currency}}. render: diff, code, markdown, image, table, sql, shell, email, url, money, json or text. What ' +
            'cannot be shown as hinted is shown plainly.',
        ),
      ),
      consequences: maybe(Type.String({ maxLength: 20_000, description: 'What happens then, in Markdown.' })),
      target: maybe(named(of, { description: 'What it is done to. At critical risk its name has to be typed.' })),
      source_url: maybe(Type.String({ minLength: 1, maxLength: 2_048, description: 'http(s): where it comes from.' })),
      environment: maybe(named(of, { maxLength: 60, description: 'Such as production.' })),
      reversible: Type.Optional(Type.Boolean({ description: 'Whether it can be undone.' })),
    },
    { title: `${of}Presentation`, description: 'How to show it.' },
  )

const justification = (most: { maxLength?: number } = {}) =>
  Type.String({ ...most, description: "The agent's own reason, in Markdown." })
const tags = (of: Place) =>
  Type.Array(named(of, { maxLength: 64, description: 'A tag.' }), {
    maxItems: 32,
    uniqueItems: true,
    description: 'To find and sort it by.',
  })
const runId = (of: Place) => named(of, { description: 'Groups the requests of one run of the agent.' })

/** The members of a new request. */
export const questionMembers = {
  action: maybe(action('')),
  answer: maybe(answerAsked('')),
  justification: maybe(justification({ maxLength: 20_000 })),
  presentation: maybe(presentation('')),
  risk: maybe(risk),
  priority: maybe(priority),
  tags: maybe(tags('')),
  run_id: maybe(runId('')),
}

const truncated = (name: string, shown: string) =>
  Type.Optional(
    Type.Boolean({ description: `In a list: \`${name}\` is larger than 4 KiB, and ${shown}. Read the request.` }),
  )

/** The members of a request, as it is returned. */
export const shownMembers = {
  action: nullable(action('Request')),
  answer: nullable(answerAsked('Request')),
  justification: nullable(justification()),
  presentation: nullable(presentation('Request')),
  action_truncated: truncated('action', 'its args are {}'),
  answer_truncated: truncated('answer', 'null stands for it'),
  presentation_truncated: truncated('presentation', 'null stands for it'),
  response_truncated: truncated('response', 'its data, args and args_patch are null'),
  risk,
  risk_proposed: { ...risk, description: 'What the agent said; the organization may only raise it.' },
  priority,
  tags: tags('Request'),
  run_id: nullable(runId('Request')),
}

const choices = (most: { maxItems?: number } = {}) =>
  Type.Array(Type.String({ minLength: 1, maxLength: 64, description: 'The id of an option.' }), {
    ...most,
    description: 'The options chosen; of a ranking the best first.',
  })

const confirmation = Type.Object(
  {
    acknowledged: Type.Optional(Type.Boolean({ description: 'The person confirmed it: for high risk.' })),
    typed: Type.Optional(
      Type.String({
        maxLength: 300,
        description: 'What the person typed: presentation.target, else action.name, else the title. For critical risk.',
      }),
    ),
  },
  { title: 'Confirmation', description: 'What an approval takes at high and at critical risk.' },
)

/** The members of an answer, beside decision and comment. */
export const answerMembers = {
  choices: maybe(choices({ maxItems: 100 })),
  data: maybe(free('The values of the form that was asked for.')),
  args: maybe(free('The edited action.args, whole. Left out: as they were proposed.')),
  attachments: maybe(
    Type.Array(Type.String({ format: 'uuid', description: 'The id of a file.' }), {
      maxItems: mostFiles,
      description: 'Files that the same person added to the request, in the order in which the answer shows them.',
    }),
  ),
  confirmation: maybe(confirmation),
}

/** The members of a response, beside who, when, decision and comment: null where they were not asked for, or not given. */
export const responseMembers = {
  choices: nullable(choices()),
  data: nullable(free('The values of the form, exactly as the person sent them.')),
  args: nullable(free('The edited arguments, to be used instead of action.args; null: as they were proposed.')),
  args_patch: nullable(Type.Array(free('An operation.'), { description: 'RFC 6902: from action.args to `args`.' })),
  attachments: nullable(
    Type.Array(Type.Ref('Attachment'), {
      description: 'The files of the answer, to be read like those of the question.',
    }),
  ),
  responder: Type.Object(
    {
      id: uuid('The person who answered.'),
      name: nullable(
        Type.String({
          description: 'Their name at that time; null where they had none, or it was erased or not kept yet.',
        }),
      ),
    },
    { title: 'Responder', description: 'Who answered.' },
  ),
  revision: Type.Integer({ description: 'The revision that was answered.' }),
}

export const responseExample = {
  choices: null,
  data: null,
  args: { charge: 'ch_812', amount: 35 },
  args_patch: [{ op: 'replace', path: '/amount', value: 35 }],
  attachments: null,
  responder: { id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a59', name: 'Robin Reviewer' },
  revision: 1,
}

/** One request for each kind of question. */
export const questionExamples = [
  {
    title: 'Refund 40.00 EUR to order #812',
    context: { order: 812, customer: 'since 2019' },
    action: {
      name: 'refunds.create',
      args: { charge: 'ch_812', amount: 40 },
      args_schema: {
        type: 'object',
        properties: {
          charge: { type: 'string' },
          amount: { type: 'number', minimum: 0.01, maximum: 50, multipleOf: 0.01, 'x-unit': 'EUR' },
        },
        required: ['charge', 'amount'],
        additionalProperties: false,
      },
    },
    answer: { decisions: ['approve', 'reject'], edit_args: true, comment: 'required_unless_approved' },
    justification: 'The parcel was returned on Monday.',
    presentation: {
      hints: { '/action/args/amount': { render: 'money', currency: 'EUR' } },
      consequences: 'The customer gets a mail.',
      target: 'order #812',
      environment: 'production',
      reversible: false,
    },
    risk: 'high',
    priority: 'high',
    tags: ['refund'],
    run_id: 'support-2026-01-31',
  },
  {
    title: 'Which volume may go?',
    context: {},
    answer: {
      decisions: [],
      options: {
        mode: 'single',
        items: [
          { id: 'vol-1', label: 'vol-1, 3 GB' },
          { id: 'vol-2', label: 'vol-2, 80 GB', requires_comment: true },
        ],
      },
    },
  },
  {
    title: 'Where should the meeting be?',
    context: {},
    answer: {
      decisions: [],
      form: {
        type: 'object',
        properties: {
          city: { type: 'string', minLength: 1, maxLength: 80, title: 'City' },
          day: { type: 'string', format: 'date', title: 'Day' },
        },
        required: ['city'],
        additionalProperties: false,
      },
    },
    risk: 'low',
  },
  {
    title: 'Which invoice is it?',
    context: {},
    answer: { decisions: [], attachments: { min: 1, max: 2, media_types: ['application/pdf', 'image/*'] } },
  },
]

export const answerExamples = [
  {
    decision: 'approve',
    args: { charge: 'ch_812', amount: 35 },
    comment: 'Without the postage.',
    confirmation: { acknowledged: true },
  },
  { choices: ['vol-1'] },
  { data: { city: 'Graz', day: '2026-02-14' } },
  { attachments: ['01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a70'] },
]

export { defaultPriority, defaultRisk }
