import '../words/later.ts'
import { Choice } from '../design/choice.tsx'
import { Section } from '../design/page.tsx'
import { preferences, usePreferences } from '../design/preferences.ts'
import { OwnKeysList } from '../keys/own-keys-list.tsx'
import { type Language, languages } from '../words/language.ts'
import { say } from '../words/say.ts'

/** The words are chosen before the first paint, so another language draws the page from its beginning. */
function speakInstead(language: 'system' | Language): void {
  preferences.set({ language })
  location.reload()
}

const OwnName = ({ of }: { readonly of: Language }) => <bdi lang={of}>{languages[of]}</bdi>

export function AppearancePage() {
  const { language, theme, density, singleKeys } = usePreferences()
  return (
    <Section title={say('settings.appearance')} about={say('settings.here')}>
      <Choice
        label={say('settings.language')}
        value={language}
        onChange={speakInstead}
        options={[
          ['system', say('settings.language.system')],
          ...(Object.keys(languages) as Language[]).map((name) => [name, <OwnName key={name} of={name} />] as const),
        ]}
      />
      <Choice
        label={say('settings.theme')}
        value={theme}
        onChange={(next) => preferences.set({ theme: next })}
        options={[
          ['system', say('settings.theme.system')],
          ['light', say('settings.theme.light')],
          ['dark', say('settings.theme.dark')],
        ]}
      />
      <Choice
        label={say('settings.density')}
        value={density}
        onChange={(next) => preferences.set({ density: next })}
        options={[
          ['comfortable', say('settings.density.comfortable')],
          ['compact', say('settings.density.compact')],
        ]}
      />
      <Choice
        label={say('settings.single_keys')}
        about={say('settings.single_keys.about')}
        value={singleKeys}
        onChange={(next) => preferences.set({ singleKeys: next })}
        options={[
          ['on', say('settings.single_keys.on')],
          ['off', say('settings.single_keys.off')],
        ]}
      />
      <OwnKeysList />
    </Section>
  )
}
