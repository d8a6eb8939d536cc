import { integer, type Rule, type Values } from './setting.ts'

export const realtimeSettings = {
  LONGEST_WAIT_SECONDS: integer(
    'How long GET /requests/{id}/wait waits at most. Keep it below the idle time-out of the proxies in front.',
    55,
    0,
    55,
  ),
  MOST_WAITS: integer(
    'Waits and streams that a process holds at once, fewer than MAX_CONNECTIONS; an organization that is alone gets half of them.',
    8_000,
    2,
    1_000_000,
  ),
}

export type RealtimeSettings = Values<typeof realtimeSettings>

export const realtimeRules = ({
  MOST_WAITS,
  MAX_CONNECTIONS,
}: RealtimeSettings & { readonly MAX_CONNECTIONS: number }): readonly Rule[] => [
  [
    MOST_WAITS >= MAX_CONNECTIONS,
    'MOST_WAITS must be lower than MAX_CONNECTIONS: waits would keep out every other caller',
  ],
]
