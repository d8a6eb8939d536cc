import { resolve } from 'node:path'

/** One environment variable: how it is read, and its description in `.env.example`. */
export interface Setting<T> {
  readonly about: string
  readonly example: string
  /** Throws an Error whose message completes "NAME ...". */
  readonly read: (text: string) => T
  readonly fallback: T
  /** What an empty value stands for; without this it counts as unset. */
  readonly whenEmpty?: T
  readonly secret?: true
}

export type Settings = Readonly<Record<string, Setting<unknown>>>

/** The parsed values of a module's settings. */
export type Values<S extends Settings> = { readonly [Name in keyof S]: ReturnType<S[Name]['read']> }

export const text = (about: string, fallback: string): Setting<string> => ({
  about,
  example: fallback,
  fallback,
  read: (value) => value,
})

/** Null when unset. */
export function optional(about: string, example: string): Setting<string | null>
export function optional<T>(about: string, example: string, read: (text: string) => T): Setting<T | null>
export function optional(
  about: string,
  example: string,
  read: (text: string) => unknown = (value) => value,
): Setting<unknown> {
  return { about, example, fallback: null, read }
}

/** Never shown, not even by `config check`. */
export const secret = <T>(setting: Setting<T>): Setting<T> => ({ ...setting, secret: true })

export const path = (about: string, fallback: string): Setting<string> => ({
  about,
  example: fallback,
  fallback: resolve(fallback),
  read: (value) => resolve(value),
})

export const integer = (about: string, fallback: number, min: number, max: number): Setting<number> => ({
  about,
  example: String(fallback),
  fallback,
  read: (value) => {
    const number = Number(value)
    if (!/^\d+$/.test(value) || number < min || number > max)
      throw new Error(`must be a whole number from ${min} to ${max}`)
    return number
  },
})

export const oneOf = <const T extends string>(
  about: string,
  fallback: NoInfer<T>,
  allowed: readonly T[],
): Setting<T> => ({
  about: `${about} One of: ${allowed.join(', ')}.`,
  example: fallback,
  fallback,
  read: (value) => {
    const found = allowed.find((option) => option === value)
    if (found === undefined) throw new Error(`must be one of ${allowed.join(', ')}`)
    return found
  },
})

export const flag = (about: string, fallback: boolean): Setting<boolean> => ({
  about,
  example: String(fallback),
  fallback,
  read: (value) => {
    if (value !== 'true' && value !== 'false') throw new Error('must be true or false')
    return value === 'true'
  },
})

/** Comma separated; `readEntry` throws for entries that make no sense, and may return another spelling. */
export const list = (
  about: string,
  example: string,
  readEntry: (entry: string) => string = (entry) => entry,
): Setting<readonly string[]> => ({
  about,
  example,
  fallback: [],
  read: (value) =>
    value
      .split(',')
      .map((entry) => entry.trim())
      .filter((entry) => entry !== '')
      .map(readEntry),
})

/** A setting whose value as a whole must also pass `check`, which throws as reading does. */
export const checked = <T>(setting: Setting<T>, check: (value: T) => T): Setting<T> => ({
  ...setting,
  read: (value) => check(setting.read(value)),
})

/** Reads an http(s) URL, and drops its trailing slashes. */
export function httpUrl(value: string): string {
  const url = URL.canParse(value) ? new URL(value) : null
  if (url === null || !/^https?:$/.test(url.protocol)) throw new Error('must be an http:// or https:// URL')
  return value.replace(/\/+$/, '')
}

/** A rule between settings: whether it is broken, and the mistake to report then. */
export type Rule = readonly [isBroken: boolean, mistake: string]
