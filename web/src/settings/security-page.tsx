import '../words/later.ts'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { api, type Schemas } from '../api/client.ts'
import { makePasskey, passkeysWork } from '../api/passkeys.ts'
import { granted } from '../api/refused.ts'
import { Button } from '../design/button.tsx'
import { Field } from '../design/field.tsx'
import { ActButton, FormDialog, given } from '../design/form-dialog.tsx'
import { List } from '../design/list.tsx'
import { Modal } from '../design/modal.tsx'
import { Section } from '../design/page.tsx'
import { Mark, Row } from '../design/rows.tsx'
import { Copied } from '../design/secret.tsx'
import { Trouble } from '../design/trouble.tsx'
import { When } from '../design/when.tsx'
import { say } from '../words/say.ts'
import { QrCode } from './qr-code.tsx'

const factorsQuery = { queryKey: ['factors'], queryFn: () => granted(api.GET('/api/v1/auth/factors')) }
const identitiesQuery = {
  queryKey: ['sso-identities'],
  queryFn: () => granted(api.GET('/api/v1/auth/sso/identities')),
}

export function SecurityPage() {
  const { data: factors, error } = useQuery(factorsQuery)
  const queryClient = useQueryClient()
  const changed = (): Promise<void> => queryClient.invalidateQueries(factorsQuery)
  return (
    <>
      <Password />
      <Trouble of={factors === undefined ? error : null} />
      <Passkeys passkeys={factors?.passkeys} onChange={changed} />
      <AuthenticatorApp totp={factors?.totp} onChange={changed} />
      <RecoveryCodes state={factors?.recovery_codes} hasSecondFactor={factors?.second_factor} onChange={changed} />
      <Identities />
    </>
  )
}

interface Changing {
  readonly onChange: () => Promise<void>
}

function Password() {
  const [isChanged, setChanged] = useState(false)
  const change = async (form: FormData): Promise<void> => {
    const body = { current_password: String(form.get('current')), new_password: String(form.get('new')) }
    await granted(api.POST('/api/v1/auth/password/change', { body }))
    setChanged(true)
  }
  return (
    <Section
      title={say('security.password')}
      actions={
        <FormDialog text={say('security.password.change')} name={say('security.password.change.name')} send={change}>
          <p className="text-mute">{say('security.password.about')}</p>
          <Field
            label={say('profile.password.current')}
            name="current"
            type="password"
            autoComplete="current-password"
            required
            maxLength={1000}
          />
          <Field
            label={say('account.new_password')}
            name="new"
            type="password"
            autoComplete="new-password"
            required
            minLength={8}
            maxLength={72}
          />
        </FormDialog>
      }
    >
      <p role="status">{isChanged ? say('security.password.changed') : ''}</p>
    </Section>
  )
}

function Passkeys({ passkeys, onChange }: Changing & { readonly passkeys: readonly Schemas['Passkey'][] | undefined }) {
  const add = async (form: FormData): Promise<void> => {
    const options = await granted(api.POST('/api/v1/auth/factors/passkeys/options'))
    const credential = await makePasskey(options)
    const name = given(form, 'name')
    const body = { credential, ...(name === null ? {} : { name }) }
    await granted(api.POST('/api/v1/auth/factors/passkeys', { body }))
    await onChange()
  }
  const rename = async (id: string, name: string): Promise<void> => {
    await granted(api.PATCH('/api/v1/auth/factors/passkeys/{id}', { params: { path: { id } }, body: { name } }))
    await onChange()
  }
  const remove = async (id: string): Promise<void> => {
    await granted(api.DELETE('/api/v1/auth/factors/passkeys/{id}', { params: { path: { id } } }))
    await onChange()
  }
  return (
    <Section
      title={say('security.passkeys')}
      actions={
        passkeysWork() ? (
          <FormDialog text={say('security.passkeys.add')} name={say('security.passkeys.add')} send={add}>
            <p className="text-mute">{say('security.passkeys.add.about')}</p>
            <Field label={say('security.passkeys.name')} name="name" maxLength={100} />
          </FormDialog>
        ) : undefined
      }
    >
      <List
        label={say('security.passkeys')}
        pages={{ items: passkeys, error: null }}
        empty={say(passkeysWork() ? 'security.passkeys.empty' : 'security.passkeys.impossible')}
      >
        {({ id, name, created_at, last_used_at }) => (
          <Row key={id} title={<bdi>{name}</bdi>} detail={<Used created={created_at} last={last_used_at} />}>
            <FormDialog
              text={say('act.rename')}
              name={say('act.rename.what', { name })}
              send={(form) => rename(id, given(form, 'name') ?? name)}
            >
              <Field label={say('security.passkeys.name')} name="name" defaultValue={name} required maxLength={100} />
            </FormDialog>
            <ActButton
              text={say('act.remove')}
              name={say('act.remove.what', { name })}
              kind="danger"
              about={say('security.passkeys.remove.about')}
              act={() => remove(id)}
            />
          </Row>
        )}
      </List>
    </Section>
  )
}

function Used({ created, last }: { readonly created: string; readonly last: string | null }) {
  return (
    <>
      {say('used.added')} <When at={created} />
      {' · '}
      {last === null ? (
        say('used.never')
      ) : (
        <>
          {say('used.last')} <When at={last} />
        </>
      )}
    </>
  )
}

function AuthenticatorApp({
  totp,
  onChange,
}: Changing & { readonly totp: Schemas['AuthenticatorApp'] | null | undefined }) {
  const [enrolment, setEnrolment] = useState<Schemas['AuthenticatorAppEnrolment'] | null>(null)
  const beginning = useMutation({
    mutationFn: () => granted(api.POST('/api/v1/auth/factors/totp')),
    onSuccess: setEnrolment,
  })
  const remove = async (id: string): Promise<void> => {
    await granted(api.DELETE('/api/v1/auth/factors/totp/{id}', { params: { path: { id } } }))
    await onChange()
  }
  return (
    <Section
      title={say('security.totp')}
      actions={
        <Button disabled={beginning.isPending} onClick={() => beginning.mutate()}>
          {say(totp == null ? 'security.totp.add' : 'security.totp.replace')}
        </Button>
      }
    >
      <Trouble of={beginning.error} />
      <List
        label={say('security.totp')}
        pages={{ items: totp === undefined ? undefined : totp === null ? [] : [totp], error: null }}
        empty={say('security.totp.empty')}
      >
        {({ id, created_at, last_used_at }) => (
          <Row
            key={id}
            title={say('security.totp')}
            mark={<Mark tone="good">{say('security.on')}</Mark>}
            detail={<Used created={created_at} last={last_used_at} />}
          >
            <ActButton
              text={say('act.remove')}
              name={say('security.totp.remove')}
              kind="danger"
              about={say('security.totp.remove.about')}
              act={() => remove(id)}
            />
          </Row>
        )}
      </List>
      {enrolment === null ? null : (
        <Enrolment
          {...enrolment}
          onClose={() => setEnrolment(null)}
          onConfirmed={async () => {
            setEnrolment(null)
            await onChange()
          }}
        />
      )}
    </Section>
  )
}

interface EnrolmentProps extends Pick<Schemas['AuthenticatorAppEnrolment'], 'id' | 'secret' | 'uri'> {
  readonly onClose: () => void
  readonly onConfirmed: () => Promise<void>
}

function Enrolment({ id, secret, uri, onClose, onConfirmed }: EnrolmentProps) {
  const confirming = useMutation({
    mutationFn: (code: string) =>
      granted(api.POST('/api/v1/auth/factors/totp/{id}/confirm', { params: { path: { id } }, body: { code } })),
    onSuccess: onConfirmed,
  })
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault()
    confirming.mutate(given(new FormData(event.currentTarget), 'code') ?? '')
  }
  return (
    <Modal title={say('security.totp.add')} onClose={onClose}>
      <form className="grid gap-4 p-5" onSubmit={submit}>
        <p className="text-mute">{say('security.totp.about')}</p>
        <QrCode text={uri} />
        <Copied label={say('security.totp.secret')} text={secret} />
        <Field
          label={say('security.totp.code')}
          name="code"
          inputMode="numeric"
          autoComplete="one-time-code"
          required
          minLength={6}
          maxLength={6}
        />
        <Trouble of={confirming.error} />
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>{say('act.cancel')}</Button>
          <Button kind="primary" type="submit" disabled={confirming.isPending}>
            {say('security.totp.confirm')}
          </Button>
        </div>
      </form>
    </Modal>
  )
}

interface RecoveryCodesProps extends Changing {
  readonly state: Schemas['RecoveryCodesState'] | null | undefined
  readonly hasSecondFactor: boolean | undefined
}

function RecoveryCodes({ state, hasSecondFactor, onChange }: RecoveryCodesProps) {
  const make = async (): Promise<readonly string[]> => {
    const { codes } = await granted(api.POST('/api/v1/auth/factors/recovery-codes'))
    await onChange()
    return codes
  }
  return (
    <Section
      title={say('security.codes')}
      about={
        state == null
          ? say(hasSecondFactor === true ? 'security.codes.none' : 'security.codes.useless')
          : say('security.codes.left', { count: state.remaining })
      }
      actions={
        hasSecondFactor === true ? (
          <FormDialog
            text={say('security.codes.make')}
            name={say('security.codes.make')}
            send={make}
            done={(codes) => (
              <>
                <p>{say('security.codes.keep')}</p>
                <Copied label={say('security.codes')} text={codes.join('\n')} />
              </>
            )}
          >
            <p className="text-mute">{say('security.codes.about')}</p>
          </FormDialog>
        ) : undefined
      }
    >
      {null}
    </Section>
  )
}

function Identities() {
  const { data } = useQuery(identitiesQuery)
  const queryClient = useQueryClient()
  const unlink = async (id: string): Promise<void> => {
    await granted(api.DELETE('/api/v1/auth/sso/identities/{id}', { params: { path: { id } } }))
    await queryClient.invalidateQueries(identitiesQuery)
  }
  if (data === undefined || data.items.length === 0) return null
  return (
    <Section title={say('security.identities')}>
      <List label={say('security.identities')} pages={{ items: data.items, error: null }} empty="">
        {({ id, issuer, subject, created_at, last_used_at }) => (
          <Row key={id} title={<bdi>{issuer}</bdi>} detail={<Used created={created_at} last={last_used_at} />}>
            <ActButton
              text={say('act.remove')}
              name={say('act.remove.what', { name: subject })}
              kind="danger"
              about={say('security.identities.remove.about')}
              act={() => unlink(id)}
            />
          </Row>
        )}
      </List>
    </Section>
  )
}
