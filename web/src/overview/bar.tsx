export interface BarProps {
  readonly label: string
  /** From 0 to 1. */
  readonly share: number
  /** In words: the bar repeats it for the eye alone. */
  readonly value: string
}

export function Bar({ label, share, value }: BarProps) {
  return (
    <li className="grid grid-cols-[minmax(0,12rem)_minmax(0,1fr)_auto] items-center gap-3 py-1">
      <bdi className="truncate">{label}</bdi>
      <svg viewBox="0 0 100 8" preserveAspectRatio="none" className="h-2 w-full" aria-hidden="true">
        <rect width="100" height="8" rx="1" className="fill-side" />
        <rect width={100 * share} height="8" rx="1" className="fill-accent" />
      </svg>
      <span className="tabular text-mute">{value}</span>
    </li>
  )
}
