import '../words/later.ts'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { api, type Schemas } from '../api/client.ts'
import { publicPath } from '../api/public-path.ts'
import { granted } from '../api/refused.ts'
import { Button } from '../design/button.tsx'
import { Check } from '../design/check.tsx'
import { Field } from '../design/field.tsx'
import { ActButton, FormDialog, given, ShowDialog } from '../design/form-dialog.tsx'
import { List } from '../design/list.tsx'
import { Section } from '../design/page.tsx'
import { Mark, Row } from '../design/rows.tsx'
import { Copied } from '../design/secret.tsx'
import { Select } from '../design/select.tsx'
import { Trouble } from '../design/trouble.tsx'
import { say } from '../words/say.ts'
import { roleOptions } from './roles.ts'

type Provider = Schemas['IdentityProvider']

const providersQuery = {
  queryKey: ['identity-providers'],
  queryFn: () => granted(api.GET('/api/v1/identity-providers')),
}

/** What both forms ask for. An empty secret leaves the one there is. */
function bodyOf(form: FormData) {
  const secret = given(form, 'client_secret')
  const domains = given(form, 'email_domains')
  const role = given(form, 'default_role')
  return {
    name: given(form, 'name') ?? '',
    issuer: given(form, 'issuer') ?? '',
    client_id: given(form, 'client_id') ?? '',
    ...(secret === null ? {} : { client_secret: secret }),
    role_claim: given(form, 'role_claim'),
    default_role: role as Schemas['GrantableRole'] | null,
    creates_members: form.get('creates_members') !== null,
    email_domains: domains === null ? null : domains.split(/[\s,]+/),
  }
}

export function ProvidersPage() {
  const queryClient = useQueryClient()
  const { data, error } = useQuery(providersQuery)
  const changed = (): Promise<void> => queryClient.invalidateQueries(providersQuery)
  const create = async (form: FormData): Promise<Provider> => {
    const provider = await granted(api.POST('/api/v1/identity-providers', { body: bodyOf(form) }))
    await changed()
    return provider
  }
  return (
    <Section
      title={say('settings.providers')}
      about={say('providers.about')}
      actions={
        <FormDialog
          text={say('providers.add')}
          name={say('providers.add')}
          kind="primary"
          send={create}
          done={(provider) => <Links provider={provider} />}
        >
          <ProviderFields />
        </FormDialog>
      }
    >
      <List label={say('settings.providers')} pages={{ items: data?.items, error }} empty={say('providers.empty')}>
        {(provider) => (
          <Row
            key={provider.id}
            title={<bdi>{provider.name}</bdi>}
            detail={<bdi>{provider.issuer}</bdi>}
            mark={
              <>
                {provider.is_active ? null : <Mark tone="warning">{say('providers.off')}</Mark>}
                {provider.is_enforced ? <Mark>{say('providers.enforced')}</Mark> : null}
              </>
            }
          >
            <Managed provider={provider} onChange={changed} />
          </Row>
        )}
      </List>
    </Section>
  )
}

function ProviderFields({ provider }: { readonly provider?: Provider }) {
  return (
    <>
      <Field label={say('providers.name')} name="name" defaultValue={provider?.name} required maxLength={255} />
      <Field label={say('providers.issuer')} name="issuer" type="url" defaultValue={provider?.issuer} required />
      <Field label={say('providers.client_id')} name="client_id" defaultValue={provider?.client_id} required />
      <Field
        label={say(provider?.has_client_secret === true ? 'providers.client_secret.kept' : 'providers.client_secret')}
        name="client_secret"
        type="password"
        autoComplete="off"
      />
      <Field label={say('providers.role_claim')} name="role_claim" defaultValue={provider?.role_claim ?? ''} />
      <Select
        label={say('providers.default_role')}
        name="default_role"
        defaultValue={provider?.default_role ?? ''}
        options={[['', say('providers.no_role')], ...roleOptions()]}
      />
      <Field
        label={say('providers.domains')}
        name="email_domains"
        defaultValue={provider?.email_domains.join(', ')}
        maxLength={2000}
      />
      <Check
        label={say('providers.creates')}
        about={say('providers.creates.about')}
        name="creates_members"
        defaultChecked={provider?.creates_members ?? false}
      />
    </>
  )
}

function Links({ provider: { id, redirect_uri } }: { readonly provider: Provider }) {
  return (
    <>
      <p>{say('providers.redirect.about')}</p>
      <Copied label={say('providers.redirect')} text={redirect_uri} />
      <p>{say('providers.start.about')}</p>
      <Copied label={say('providers.start')} text={`${location.origin}${publicPath}/sign-in?provider=${id}`} />
    </>
  )
}

function Managed({ provider, onChange }: { readonly provider: Provider; readonly onChange: () => Promise<void> }) {
  const { id, name, is_active, is_enforced } = provider
  const params = { path: { id } }
  const change = async (body: Schemas['IdentityProviderChanges']): Promise<void> => {
    await granted(api.PATCH('/api/v1/identity-providers/{id}', { params, body }))
    await onChange()
  }
  const remove = async (): Promise<void> => {
    await granted(api.DELETE('/api/v1/identity-providers/{id}', { params }))
    await onChange()
  }
  const linking = useMutation({
    mutationFn: () =>
      granted(
        api.POST('/api/v1/auth/sso/{id}/link', {
          params,
          body: { return_to: `${publicPath}/settings/security` },
        }),
      ),
    onSuccess: ({ authorization_url }) => location.assign(authorization_url),
  })
  return (
    <>
      <Button
        aria-label={say('providers.link.name', { name })}
        disabled={linking.isPending}
        onClick={() => linking.mutate()}
      >
        {say('providers.link')}
      </Button>
      <ShowDialog text={say('providers.links')} name={say('providers.links.name', { name })}>
        <Links provider={provider} />
      </ShowDialog>
      <FormDialog
        text={say('people.change')}
        name={say('people.change.name', { name })}
        send={(form) => change(bodyOf(form))}
      >
        <ProviderFields provider={provider} />
      </FormDialog>
      <ActButton
        text={say(is_enforced ? 'providers.release' : 'providers.enforce')}
        name={say(is_enforced ? 'providers.release.name' : 'providers.enforce.name', { name })}
        about={say(is_enforced ? 'providers.release.about' : 'providers.enforce.about')}
        act={() => change({ is_enforced: !is_enforced })}
      />
      <ActButton
        text={say(is_active ? 'providers.switch_off' : 'providers.switch_on')}
        name={say(is_active ? 'providers.switch_off.name' : 'providers.switch_on.name', { name })}
        about={say(is_active ? 'providers.switch_off.about' : 'providers.switch_on.about')}
        act={() => change({ is_active: !is_active })}
      />
      <ActButton
        text={say('act.delete')}
        name={say('act.delete.what', { name })}
        kind="danger"
        about={say('providers.delete.about')}
        act={remove}
      />
      <Trouble of={linking.error} />
    </>
  )
}
