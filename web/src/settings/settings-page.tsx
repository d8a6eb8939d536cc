import { Choice } from '../design/choice.tsx'
import { MenuButton } from '../design/menu-button.tsx'
import { preferences, usePreferences } from '../design/preferences.ts'
import { say } from '../words/say.ts'

export function SettingsPage() {
  const { theme, density, singleKeys } = usePreferences()
  return (
    <main className="min-w-0 overflow-auto bg-pane">
      <div className="mx-auto grid max-w-2xl gap-8 px-4 py-6 wide:px-8">
        <div className="flex items-center gap-2">
          <MenuButton />
          <h1 className="font-semibold text-title tracking-tight">{say('settings.title')}</h1>
        </div>
        <section className="grid gap-6" aria-labelledby="here">
          <h2 id="here" className="border-line border-b pb-2 font-medium text-faint text-small">
            {say('settings.here')}
          </h2>
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
        </section>
      </div>
    </main>
  )
}
