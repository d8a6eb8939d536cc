import { asFile, type Signer } from './audit-export.ts'

/** Random numbers that the same seed repeats (mulberry32). */
export function createRandom(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * below)
  }
}

type Random = (below: number) => number
type Tampering = (lines: string[], random: Random, attacker: Signer) => string[] | Buffer

const pick = (random: Random, lines: readonly string[], from = 0): number => from + random(lines.length - from)
const isEvent = (line: string): boolean => line.startsWith('{"position":')
const isSeal = (line: string): boolean => line.startsWith('{"seal":')
const eventsOf = (lines: readonly string[]): number[] => lines.flatMap((line, at) => (isEvent(line) ? [at] : []))
const oneOf = (random: Random, places: readonly number[]): number => places[random(places.length)] ?? 0

/** Numbers the positions in order again, as an attacker who knows the format would. */
const renumbered = (lines: string[]): string[] => {
  let position = 0
  return lines.map((line) =>
    isEvent(line) ? line.replace(/^\{"position":\d+/, () => `{"position":${++position}`) : line,
  )
}

const bytes = (change: (file: Buffer, random: Random) => Buffer): Tampering => {
  return (lines, random) => change(asFile(lines), random)
}

/** What can happen to a file, from a flipped bit to an attacker who knows the format and has a key of their own. */
export const tamperings: Readonly<Record<string, Tampering>> = {
  'a bit flips': bytes((file, random) => {
    const at = random(file.length)
    file.writeUInt8((file[at] ?? 0) ^ (1 << random(8)), at)
    return file
  }),
  'a byte is changed': bytes((file, random) => {
    file.writeUInt8(random(256), random(file.length))
    return file
  }),
  'bytes are cut out': bytes((file, random) => {
    const at = random(file.length)
    return Buffer.concat([file.subarray(0, at), file.subarray(at + 1 + random(40))])
  }),
  'bytes are inserted': bytes((file, random) => {
    const at = random(file.length + 1)
    const added = Buffer.from(Array.from({ length: 1 + random(20) }, () => 32 + random(95)))
    return Buffer.concat([file.subarray(0, at), added, file.subarray(at)])
  }),
  'the file is cut off': bytes((file, random) => file.subarray(0, random(file.length))),
  'the file is cut off after a line': (lines, random) => lines.slice(0, random(lines.length)),
  'a line is deleted': (lines, random) => lines.toSpliced(pick(random, lines), 1),
  'an event is deleted and the rest renumbered': (lines, random) =>
    renumbered(lines.toSpliced(oneOf(random, eventsOf(lines)), 1)),
  'a line is repeated': (lines, random) => {
    const at = pick(random, lines)
    return lines.toSpliced(pick(random, lines), 0, lines[at] ?? '')
  },
  'two lines are swapped': (lines, random) => {
    const [a, b] = [pick(random, lines), pick(random, lines)]
    return lines.with(a, lines[b] ?? '').with(b, lines[a] ?? '')
  },
  'two events are swapped and renumbered': (lines, random) => {
    const [a, b] = [oneOf(random, eventsOf(lines)), oneOf(random, eventsOf(lines))]
    return renumbered(lines.with(a, lines[b] ?? '').with(b, lines[a] ?? ''))
  },
  'a line is moved': (lines, random) => {
    const at = pick(random, lines)
    const rest = lines.toSpliced(at, 1)
    return rest.toSpliced(random(rest.length + 1), 0, lines[at] ?? '')
  },
  'an event is invented and the rest renumbered': (lines, random) => {
    const at = oneOf(random, eventsOf(lines))
    const invented = (lines[at] ?? '').replace('"request.created"', '"request.invented"').replace(/,"erasable".*/, '}')
    return renumbered(lines.toSpliced(at, 0, invented))
  },
  'a word of a record is changed': (lines, random) => {
    const at = oneOf(random, eventsOf(lines))
    const from = ['"pending"', '"person"', '2026-01-31', '"password"', '"call-', 'null'][random(6)] ?? ''
    return lines.with(at, (lines[at] ?? '').replace(from, from === 'null' ? '0' : '"tampered'))
  },
  'an erasable part is changed': (lines, random) => {
    const at = oneOf(random, eventsOf(lines))
    return lines.with(at, (lines[at] ?? '').replace('Fine', 'Not at all fine'))
  },
  'an erasable part is cut out': (lines, random) => {
    const at = oneOf(random, eventsOf(lines))
    return lines.with(at, (lines[at] ?? '').replace(/,"erasable".*/, '}'))
  },
  'a whole batch is deleted and the rest renumbered': (lines, random) => {
    const seals = lines.flatMap((line, at) => (isSeal(line) ? [at] : []))
    const which = random(seals.length)
    const from = which === 0 ? 1 : (seals[which - 1] ?? 0) + 1
    return renumbered(lines.toSpliced(from, (seals[which] ?? 0) - from + 1))
  },
  'a seal is signed again with another key': (lines, random, attacker) => {
    const at = oneOf(
      random,
      lines.flatMap((line, place) => (isSeal(line) ? [place] : [])),
    )
    const [, payload = ''] = (lines[at] ?? '').split('.')
    const head = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
    const forged = attacker.sign({ ...head, sealed_at: '2026-02-01T00:00:00.000Z' }, 'hitl-audit-head+jws')
    return lines.with(at, (lines[at] ?? '').replace(/"seal":"[^"]*"/, `"seal":"${forged}"`))
  },
  'the end is signed again for a shorter file': (lines, _random, attacker) => {
    const [, payload = ''] = (lines.at(-1) ?? '').split('.')
    const end = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
    return lines.with(-1, `{"end":"${attacker.sign(end, 'hitl-audit-export+jws')}"}`)
  },
}
