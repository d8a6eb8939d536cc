import { integer, type Values } from './setting.ts'

export const realtimeSettings = {
  LONGEST_WAIT_SECONDS: integer(
    'How long GET /requests/{id}/wait waits at most. Keep it below the idle time-out of the proxies in front.',
    55,
    0,
    55,
  ),
  MOST_WAITS: integer(
    'Waits and streams that a process holds at once; an organization that is alone gets half of them.',
    20_000,
    2,
    1_000_000,
  ),
}

export type RealtimeSettings = Values<typeof realtimeSettings>
