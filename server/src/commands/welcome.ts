import type { Config } from '../config.ts'
import { sampleAdmin, samplePassword, sampleReviewer } from '../seed.ts'
import { version } from '../version.ts'

/** What the first lines after a start show. */
export interface Welcome {
  readonly publicUrl: string
  /** The key that DEMO creates; null without DEMO. */
  readonly sampleApiKey: string | null
  /** The link that creates the first administrator, while there is none. */
  readonly setupUrl: string | null
  /** A restored copy that sends no callbacks and mail yet. */
  readonly isHeld: boolean
}

export function welcomeFacts({ publicUrl, sampleApiKey, setupUrl, isHeld }: Welcome) {
  return {
    event: 'listening',
    version,
    url: publicUrl,
    docs_url: `${publicUrl}/docs`,
    ...(setupUrl === null ? {} : { setup_url: setupUrl }),
    ...(sampleApiKey === null ? {} : { sample: sampleFacts(sampleApiKey) }),
    ...(isHeld ? { callbacks_held: true } : {}),
  }
}

export function welcomeText(config: Config, { publicUrl, sampleApiKey, setupUrl, isHeld }: Welcome): string {
  const lines = [`\nHITL ${version} is listening.\n`, `  Service   ${publicUrl}`, `  API docs  ${publicUrl}/docs`]
  if (sampleApiKey !== null) return `${lines.join('\n')}\n${sampleBlock(config, sampleApiKey)}`
  if (setupUrl !== null) {
    lines.push(
      '',
      '  Make the first admin. This link works once, for 7 days; each start prints a new one and voids the last:',
      `  ${setupUrl}`,
    )
  }
  if (isHeld) {
    lines.push('', '  This is a restored copy: callbacks and mail are held until: hitl restore --release')
  }
  return `${lines.join('\n')}\n`
}

export function sampleFacts(apiKey: string) {
  return { logins: [sampleAdmin, sampleReviewer], password: samplePassword, api_key: apiKey }
}

export function sampleBlock(config: Config, apiKey: string): string {
  return `
  Sample logins   ${sampleAdmin} and ${sampleReviewer}, password ${samplePassword}
  Sample API key  ${apiKey}

  Try it:
  curl -s ${config.publicUrl}/api/v1/requests \\
    -H 'Authorization: Bearer ${apiKey}' -H 'Content-Type: application/json' \\
    -d '{"title":"May I deploy?","context":{"version":"1.2.3"}}'
`
}
