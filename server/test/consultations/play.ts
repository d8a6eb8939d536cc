import assert from 'node:assert/strict'
import { type App, createApp } from '../../src/app.ts'
import { createAccessTokens } from '../../src/identity/access-token.ts'
import { createLog } from '../../src/platform/log.ts'
import { secretKey, type TestApp, testConfig } from '../harness.ts'
import type { Act, Known, Told } from './model.ts'

export interface Reply {
  readonly told: Told
  // biome-ignore lint/suspicious/noExplicitAny: replies of every shape
  readonly body: any
}

export type Play = Awaited<ReturnType<typeof startPlay>>

/** Plays the acts of the model in two processes; the second is one from the database's point of view. */
export async function startPlay(t: TestApp) {
  const second = await createApp({
    config: testConfig(),
    secretKey,
    connection: t.connection,
    log: createLog('silent', false),
    clock: t.clock,
  })
  const apps: readonly App[] = [t.app, second]
  const people: readonly { readonly id: string; readonly sessionId: string }[] = [t.admin, t.reviewer]
  /** Histories take days, tokens live for minutes: each call has its own. */
  const tokens = createAccessTokens(secretKey, 30)

  async function call(app: number, method: 'GET' | 'POST', path: string, as: string, body?: object): Promise<Reply> {
    const reply = await apps[app]?.http.inject({
      method,
      url: `/api/v1/requests${path}`,
      headers: { authorization: `Bearer ${as}` },
      ...(body === undefined ? {} : { payload: body }),
    })
    assert.ok(reply)
    const parsed = JSON.parse(reply.body)
    return { told: reply.statusCode < 300 ? '200' : `${reply.statusCode} ${parsed.code}`, body: parsed }
  }

  async function tokenOf(person: number): Promise<string> {
    const { id: userId = '', sessionId = '' } = people[person] ?? {}
    return (await tokens.sign({ organizationId: t.organizationId, userId, sessionId }, t.clock.now())).token
  }

  async function perform(app: number, id: string, act: Act): Promise<Told> {
    switch (act.kind) {
      case 'sweep':
        await apps[app]?.consultations.expireDue(100)
        return ''
      case 'respond':
      case 'undo': {
        const { by, kind, ...body } = act
        return (await call(app, 'POST', `/${id}/${kind}`, await tokenOf(by), kind === 'undo' ? undefined : body)).told
      }
      case 'revise': {
        const { minutes: timeout_minutes, holdMs, revision } = act
        const body = { title: 'y', context: {}, timeout_minutes, hold_seconds: holdMs / 1_000 }
        return (await call(app, 'POST', `/${id}/revisions`, t.apiKey, { ...body, ...(revision && { revision }) })).told
      }
      case 'outcome':
        return (await call(app, 'POST', `/${id}/outcome`, t.apiKey, { status: act.status })).told
      default:
        return (await call(app, 'POST', `/${id}/${act.kind}`, t.apiKey)).told
    }
  }

  return {
    call,
    perform,
    tokenOf,
    membersOf: ({ state, revision, answer, isRedeemed, outcome, dueAt }: Known): readonly unknown[] => [
      state,
      revision,
      answer?.decision,
      answer === null ? undefined : people[answer.by]?.id,
      isRedeemed,
      outcome,
      dueAt,
    ],
    /** What a caller is shown, in the order of `membersOf`. */
    shown: async (id: string, app: number, as: string): Promise<readonly unknown[]> => {
      const { state, revision, response, redeemed_at, outcome, timeout_at } = (await call(app, 'GET', `/${id}`, as))
        .body
      return [
        state,
        revision,
        response?.decision,
        response?.responder_id,
        redeemed_at !== null,
        outcome?.status ?? null,
        timeout_at === null ? null : Date.parse(timeout_at),
      ]
    },
    stop: () => second.stop(),
  }
}
