import { absolute, relative } from '../words/times.ts'

/** A time as people say it; the exact one is in its title. */
export function When({ at }: { readonly at: string }) {
  const time = new Date(at)
  return (
    <time dateTime={at} title={absolute(time)}>
      {relative(time, new Date())}
    </time>
  )
}
