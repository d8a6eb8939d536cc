/** The languages that are coloured, by the names and file endings that agents use for them. */
const names = {
  sql: ['sql', 'postgresql', 'postgres', 'mysql', 'sqlite', 'psql'],
  shellscript: ['shell', 'sh', 'bash', 'zsh', 'shellscript', 'console'],
  json: ['json', 'jsonc', 'json5'],
  yaml: ['yaml', 'yml'],
  typescript: ['typescript', 'ts', 'mts', 'cts'],
  javascript: ['javascript', 'js', 'mjs', 'cjs'],
  tsx: ['tsx', 'jsx'],
  python: ['python', 'py', 'python3'],
  go: ['go', 'golang'],
  rust: ['rust', 'rs'],
  java: ['java'],
  css: ['css'],
  xml: ['xml', 'svg', 'html', 'htm'],
  hcl: ['hcl', 'tf', 'tfvars', 'terraform'],
  toml: ['toml'],
  ini: ['ini', 'conf', 'cfg', 'properties', 'env'],
  dockerfile: ['dockerfile', 'docker'],
} as const satisfies Readonly<Record<string, readonly string[]>>

export type Language = keyof typeof names

const byName = new Map<string, Language>(
  Object.entries(names).flatMap(([language, all]) => all.map((name) => [name, language as Language] as const)),
)

export const languageOf = (name: string | null): Language | null =>
  name === null ? null : (byName.get(name.toLowerCase()) ?? null)

/** By the ending of a file's name, or the name itself. */
export function languageOfFile(path: string): Language | null {
  const name = path.split(/[\\/]/).at(-1) ?? ''
  return languageOf(name.includes('.') ? (name.split('.').at(-1) ?? null) : name)
}
