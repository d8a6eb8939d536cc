import { ChevronRight } from 'lucide-react'
import type { Request } from '../api/requests.ts'
import { CodeView } from '../rendering/code-view.tsx'
import { say } from '../words/say.ts'
import { askedParts } from './asked.ts'

export interface RawProps {
  readonly request: Request
  readonly isOpen: boolean
  readonly onToggle: (open: boolean) => void
}

/** What the digest covers, as it was asked, and the digest. */
export function Raw({ request, isOpen, onToggle }: RawProps) {
  return (
    <section className="mt-[22px]" aria-label={say('raw.title')}>
      <button
        type="button"
        aria-expanded={isOpen}
        className="-ms-1 flex items-center gap-1 rounded-small px-1 font-medium text-faint text-small hover:text-ink pointer-coarse:min-h-11"
        onClick={() => onToggle(!isOpen)}
      >
        <ChevronRight className={`size-3.5 ${isOpen ? 'rotate-90' : 'rtl:-scale-x-100'}`} aria-hidden="true" />
        {say('raw.title')}
      </button>
      {isOpen ? (
        <div className="mt-2 grid gap-2">
          <p className="text-mute text-small">
            {say('raw.digest')} <span className="break-all font-mono text-ink">{request.digest}</span>
          </p>
          <CodeView text={JSON.stringify(askedParts(request), null, 2)} language="json" label={say('raw.json')} />
        </div>
      ) : null}
    </section>
  )
}
