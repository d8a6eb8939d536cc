/** What a request asks that says nothing of it, as existing clients do. */
export const coreQuestion = {
  action: null,
  answerAsked: null,
  justification: null,
  presentation: null,
  riskProposed: 'medium',
  priority: 'normal',
  tags: [],
  runId: null,
} as const

/** What an answer to it has beside decision and comment. */
export const coreAnswer = {
  choices: null,
  data: null,
  args: null,
  argsPatch: null,
  attachments: null,
  responderName: '',
  erasedAt: null,
} as const
