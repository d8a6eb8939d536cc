import '../words/later.ts'
import { Choice } from '../design/choice.tsx'
import { Section } from '../design/page.tsx'
import { preferences, usePreferences } from '../design/preferences.ts'
import { OwnKeysList } from '../keys/own-keys-list.tsx'
import { say } from '../words/say.ts'

export function AppearancePage() {
  const { theme, density, singleKeys } = usePreferences()
  return (
    <Section title={say('settings.appearance')} about={say('settings.here')}>
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
