import { allowEntry } from '../outbound/allow-list.ts'
import type { ServiceSettings } from './service.ts'
import { integer, list, type Setting, type Values } from './setting.ts'

export const callbackSettings = {
  CALLBACK_ALLOW: list(
    'CIDRs and hosts that callbacks may reach besides the public internet.',
    '10.1.0.0/16,agent.internal',
    allowEntry,
  ),
  CALLBACK_RETRY_SECONDS: {
    about:
      'Waits before each retry of a callback; as many retries as entries. After them the state is callback_failed.',
    example: '2,4,8',
    fallback: [2, 4, 8],
    read: readSeconds,
  } as Setting<readonly number[]>,
  CALLBACK_RECOVERY_SECONDS: {
    about: 'Waits before each further attempt while the state is callback_failed; empty: none.',
    example: '60,300,1800,7200,18000,36000',
    fallback: [60, 300, 1_800, 7_200, 18_000, 36_000],
    whenEmpty: [],
    read: readSeconds,
  } as Setting<readonly number[]>,
  CALLBACK_TIMEOUT_SECONDS: integer('Whole time of one attempt: look-up, connection, TLS, headers, body.', 15, 1, 300),
}

export type CallbackSettings = Values<typeof callbackSettings>

/** The demo's receiver is on this machine. */
const loopback = ['127.0.0.0/8', '::1', 'localhost']

export const callbackAllowOf = ({ CALLBACK_ALLOW, DEMO }: CallbackSettings & ServiceSettings): readonly string[] =>
  DEMO ? [...CALLBACK_ALLOW, ...loopback] : CALLBACK_ALLOW

function readSeconds(value: string): readonly number[] {
  const waits = value.split(',').map((entry) => entry.trim())
  if (waits.length > 20 || waits.some((wait) => !/^\d{1,6}$/.test(wait) || Number(wait) > 604_800)) {
    throw new Error('must be at most 20 whole numbers of seconds (a week at most each), such as 2,4,8')
  }
  return waits.map(Number)
}
