import { compare } from './lines.ts'

/** Compares beside the page, so that the page goes on. */
addEventListener('message', ({ data: { before, after } }: MessageEvent<{ before: string; after: string }>) => {
  postMessage(compare(before, after, 5_000))
})
