import '../words/later.ts'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { api } from '../api/client.ts'
import { granted } from '../api/refused.ts'
import { signOut } from '../api/session.ts'
import { Button } from '../design/button.tsx'
import { ActButton } from '../design/form-dialog.tsx'
import { List } from '../design/list.tsx'
import { Section } from '../design/page.tsx'
import { Trouble } from '../design/trouble.tsx'
import { say } from '../words/say.ts'
import { SessionRow } from './session-row.tsx'

const sessionsQuery = { queryKey: ['sessions'], queryFn: () => granted(api.GET('/api/v1/auth/sessions')) }

export function SessionsPage() {
  const { data, error } = useQuery(sessionsQuery)
  const queryClient = useQueryClient()
  const changed = (): Promise<void> => queryClient.invalidateQueries(sessionsQuery)
  const ending = useMutation({
    mutationFn: (id: string) => granted(api.POST('/api/v1/auth/sessions/{id}/revoke', { params: { path: { id } } })),
    onSuccess: changed,
  })
  const endOthers = async (): Promise<void> => {
    await granted(api.POST('/api/v1/auth/sessions/revoke-others'))
    await changed()
  }
  return (
    <Section
      title={say('settings.sessions')}
      about={say('sessions.about')}
      actions={
        <ActButton
          text={say('sessions.end_others')}
          name={say('sessions.end_others')}
          kind="danger"
          about={say('sessions.end_others.about')}
          act={endOthers}
        />
      }
    >
      <Trouble of={ending.error} />
      <List label={say('settings.sessions')} pages={{ items: data?.items, error }} empty="">
        {(each) => (
          <SessionRow key={each.id} session={each}>
            <Button
              aria-label={
                each.is_current ? undefined : say('sessions.end.name', { what: each.user_agent ?? each.kind })
              }
              disabled={ending.isPending}
              onClick={() => (each.is_current ? void signOut() : ending.mutate(each.id))}
            >
              {say(each.is_current ? 'nav.sign_out' : 'sessions.end')}
            </Button>
          </SessionRow>
        )}
      </List>
    </Section>
  )
}
