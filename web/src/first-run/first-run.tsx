import '../words/later.ts'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { curlWith, newAgent } from '../api/asking.ts'
import { manages, usePerson } from '../api/person.ts'
import { Button } from '../design/button.tsx'
import { Field } from '../design/field.tsx'
import { FormDialog, given } from '../design/form-dialog.tsx'
import { Copied } from '../design/secret.tsx'
import { Trouble } from '../design/trouble.tsx'
import { say } from '../words/say.ts'
import { makePracticeRequests } from './practice.ts'

/** What an inbox shows in which nothing was ever asked: how a first request gets here. */
export function FirstRun() {
  const queryClient = useQueryClient()
  const isManager = manages(usePerson())
  const practising = useMutation({
    mutationFn: makePracticeRequests,
    onSettled: () => queryClient.invalidateQueries(),
  })
  const ask = async (form: FormData): Promise<string> => {
    const name = given(form, 'name') ?? ''
    const { key } = await newAgent({ name }, { name })
    return curlWith(key, say('ask.title'))
  }
  return (
    <section className="grid max-w-md justify-items-start gap-4 p-6" aria-label={say('first_run.title')}>
      <h2 className="font-semibold text-read">{say('first_run.title')}</h2>
      <p className="text-mute">{say(isManager ? 'first_run.about' : 'first_run.wait')}</p>
      {isManager ? (
        <>
          <Button kind="primary" disabled={practising.isPending} onClick={() => practising.mutate()}>
            {say('first_run.practice')}
          </Button>
          <FormDialog
            text={say('first_run.ask')}
            name={say('first_run.ask')}
            send={ask}
            done={(curl) => (
              <>
                <p>{say('first_run.curl')}</p>
                <Copied label={say('ask.curl')} text={curl} />
              </>
            )}
          >
            <p className="text-mute">{say('first_run.ask.about')}</p>
            <Field label={say('agents.name')} name="name" defaultValue="my-agent" required maxLength={255} />
          </FormDialog>
        </>
      ) : null}
      <Trouble of={practising.error} />
    </section>
  )
}
