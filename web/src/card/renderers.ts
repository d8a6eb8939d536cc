import type { ComponentType } from 'react'
import type { Hint } from './hints.ts'

export interface RendererProps {
  readonly value: unknown
  readonly hint: Hint
  readonly pointer: string
}

export interface Renderer {
  /** What it cannot show is shown plainly. */
  readonly takes: (value: unknown) => boolean
  readonly component: ComponentType<RendererProps>
}

/**
 * The renderers of hints, by `render`. One that weighs much is given as `lazy(() => import(...))`: the plain view stands in
 * its place until it is there.
 */
export const renderers: ReadonlyMap<string, Renderer> = new Map<string, Renderer>([])
