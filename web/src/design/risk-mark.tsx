import { say } from '../words/say.ts'
import type { Risk } from './risk.ts'

export const riskColour: Readonly<Record<Risk, string>> = {
  low: 'text-low',
  medium: 'text-medium',
  high: 'text-high',
  critical: 'text-critical',
}

const shapes: Readonly<Record<Risk, string>> = {
  low: 'M5 0a5 5 0 1 0 0 10A5 5 0 1 0 5 0Z',
  medium: 'M5 0 10 5 5 10 0 5Z',
  high: 'M5 .5 10 9.5H0Z',
  critical: 'M.5 .5h9v9h-9Z',
}

/** The shape alone; its word stands beside it. */
export function RiskShape({ risk, className = '' }: { readonly risk: Risk; readonly className?: string }) {
  return (
    <svg viewBox="0 0 10 10" className={`size-2.5 shrink-0 ${riskColour[risk]} ${className}`} aria-hidden="true">
      <path d={shapes[risk]} fill="currentColor" />
    </svg>
  )
}

export function RiskWord({ risk, long = false }: { readonly risk: Risk; readonly long?: boolean }) {
  return (
    <span className={`font-semibold text-tiny tracking-wide ${riskColour[risk]}`}>
      {say(long ? `risk.long.${risk}` : `risk.${risk}`)}
    </span>
  )
}
