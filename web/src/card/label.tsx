import type { ReactNode } from 'react'

/** The small heading of a part of the card. */
export function Label({ children }: { readonly children: ReactNode }) {
  return <h2 className="mt-[22px] mb-1.5 flex gap-2 font-medium text-faint text-small">{children}</h2>
}
