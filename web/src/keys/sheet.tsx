import { Kbd } from '../design/kbd.tsx'
import { Modal } from '../design/modal.tsx'
import { say } from '../words/say.ts'
import { acts, actWord, keyLabel } from './bindings.ts'

/** Every key, on `?`. */
export function KeySheet({ onClose }: { readonly onClose: () => void }) {
  return (
    <Modal title={say('sheet.title')} onClose={onClose}>
      <dl tabIndex={0} className="grid gap-x-6 gap-y-1.5 px-5 pt-3 pb-5 sm:grid-cols-2">
        {acts.map((act) => (
          <div key={act} className="flex items-center justify-between gap-3">
            <dt className="text-mute">{say(actWord(act))}</dt>
            <dd className="flex gap-1">
              {keyLabel(act)
                .split(' ')
                .map((key) => (
                  <Kbd key={key}>{key}</Kbd>
                ))}
              <span className="sr-only">{keyLabel(act)}</span>
            </dd>
          </div>
        ))}
      </dl>
      <p className="border-line border-t px-5 py-3 text-mute text-small">{say('sheet.single_keys')}</p>
    </Modal>
  )
}
