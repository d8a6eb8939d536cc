import { useVirtualizer } from '@tanstack/react-virtual'
import { type ReactNode, type RefObject, useRef } from 'react'

export interface LineListProps {
  readonly count: number
  readonly line: (at: number) => ReactNode
  readonly label: string
  /** For whoever scrolls it to a line. */
  readonly scrollTo?: RefObject<((at: number) => void) | null>
}

/** So many lines are drawn at once, and their long ones are broken; of more only those that are seen. */
export const mostDrawn = 400
const lineHeight = 20

export function LineList(props: LineListProps) {
  return props.count > mostDrawn ? <ManyLines {...props} /> : <FewLines {...props} />
}

const frame = 'overflow-auto rounded-box border border-line bg-pane font-mono text-small leading-5'

function FewLines({ count, line, label, scrollTo }: LineListProps) {
  const list = useRef<HTMLElement>(null)
  if (scrollTo !== undefined) {
    scrollTo.current = (at) => list.current?.children[at]?.scrollIntoView({ block: 'nearest' })
  }
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keys (WCAG 2.1.1)
    <section ref={list} dir="ltr" tabIndex={0} data-own-arrows aria-label={label} className={`max-h-[70vh] ${frame}`}>
      {Array.from({ length: count }, (_, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a line is its place
        <div key={at} className="min-h-5 whitespace-pre-wrap wrap-anywhere">
          {line(at)}
        </div>
      ))}
    </section>
  )
}

function ManyLines({ count, line, label, scrollTo }: LineListProps) {
  const pane = useRef<HTMLElement>(null)
  const lines = useVirtualizer({
    count,
    getScrollElement: () => pane.current,
    estimateSize: () => lineHeight,
    overscan: 20,
  })
  if (scrollTo !== undefined) scrollTo.current = (at) => lines.scrollToIndex(at, { align: 'center' })
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keys (WCAG 2.1.1)
    <section ref={pane} dir="ltr" tabIndex={0} data-own-arrows aria-label={label} className={`h-[60vh] ${frame}`}>
      <div className="relative w-max min-w-full" style={{ height: lines.getTotalSize() }}>
        {lines.getVirtualItems().map(({ index, start }) => (
          <div
            key={index}
            className="absolute inset-x-0 h-5 w-max min-w-full whitespace-pre"
            style={{ transform: `translateY(${start}px)` }}
          >
            {line(index)}
          </div>
        ))}
      </div>
    </section>
  )
}
