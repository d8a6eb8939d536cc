import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { hitl } from './hitl-process.ts'

const secret = 'hunter2-hunter2'

/** What was typed, and what standard error must contain. */
const slips: readonly (readonly [args: readonly string[], ...says: readonly RegExp[]])[] = [
  [['sevre'], /no command "sevre"/, /Did you mean: hitl serve\n/],
  [['mig'], /Did you mean: hitl migrate\n/],
  [['start'], /Did you mean: hitl serve\n/],
  [['verify', 'audit.jsonl'], /Did you mean: hitl audit verify\n/],
  [['admn', 'create'], /Did you mean: hitl admin create\n/],
  [['create', 'admin'], /Did you mean: hitl admin create\n/],
  [['admin', 'crate'], /no command "admin crate"/, /Did you mean: hitl admin create\n/],
  [['audit', 'exprot'], /Did you mean: hitl audit export\n/],
  [['key', 'rotate'], /Did you mean: hitl keys rotate\n/],
  [['validate'], /Did you mean: hitl config check\n/],
  [['diagnose'], /Did you mean: hitl doctor\n/],
  [['xyzzy'], /no command "xyzzy"/, /One of: serve, migrate/, /See: hitl --help/],
  [['admin'], /admin needs one more word/, /One of: admin create/],
  [['audit'], /One of: audit export, audit verify/],
  [['--verbose'], /no option --verbose/, /hitl --help/],
  [['help', 'sevre'], /Did you mean: hitl serve\n/],
  [['migrate', '--jsno'], /migrate has no option --jsno/, /Did you mean --json\?/],
  [['admin', 'create', '--emial', 'a@example.com'], /no option --emial/, /Did you mean --email\?/],
  [['admin', 'create'], /needs --email/, /hitl admin create --help/],
  [['admin', 'recover'], /needs --email/, /hitl admin recover --help/],
  [['admin', 'create', '--email'], /--email needs a value: ADDRESS/],
  [['admin', 'create', '--email', '--name', 'x'], /--email needs a value/, /write --email=ADDRESS/],
  [['admin', 'create', '--email='], /--email needs a value/],
  [['admin', 'create', '--email', 'a@example.com', '--email', 'b@example.com'], /--email is given twice/],
  [['admin', 'create', '--email', 'a@example.com', '--role', 'onwer'], /one of: owner, admin/, /--role owner\?/],
  [['keys', 'rotate', '--only', 'both'], /--only must be one of: signing, data/],
  [['migrate', 'now'], /migrate takes no arguments, only options; 1 given/],
  [['migrate', '--json=yes'], /--json takes no value/],
  [['audit', 'verify'], /needs FILE/],
  [['audit', 'verify', 'a', 'b'], /takes one argument, FILE; 2 given/],
  [['serve', '--port', '9000'], /settings come from the environment or \.env, as in PORT=/],
  [['serve', '--data-dir=/x'], /as in DATA_DIR=/],
]

describe('a wrong command line: exit 64, nothing on standard output, and what to type instead', () => {
  for (const [args, ...says] of slips) {
    test(`hitl ${args.join(' ')}`, async () => {
      const [text, json] = await Promise.all([hitl(args), hitl([...args, '--json'])])
      assert.equal(text.code, 64)
      assert.equal(text.stdout, '')
      for (const pattern of says) assert.match(text.stderr, pattern)
      assert.doesNotMatch(text.stderr, /\bat .*:\d+:\d+|node:internal/, 'no stack trace')
      assert.equal(json.code, 64)
      assert.equal(json.stdout, '')
      const { error } = JSON.parse(json.stderr)
      assert.equal(error.code, 'usage')
      assert.equal(typeof error.message, 'string')
    })
  }
})

describe('a password on the command line', () => {
  for (const args of [['--password', secret], [`--password=${secret}`], ['-p', secret], ['--pass', secret]]) {
    test(`${args[0]?.split('=')[0]}: refused with the reason, and not repeated`, async () => {
      const line = ['admin', 'create', '--email', 'a@example.com', ...args]
      for (const { code, stdout, stderr } of await Promise.all([hitl(line), hitl([...line, '--json'])])) {
        assert.equal(code, 64)
        assert.match(stderr, /every user of the machine can see command lines/)
        assert.match(stderr, /--password-stdin/)
        assert.ok(!`${stdout}${stderr}`.includes(secret))
      }
    })
  }

  test('nor is a password repeated that was typed where no argument is expected', async () => {
    const { code, stderr } = await hitl(['admin', 'create', '--email', 'a@example.com', secret])
    assert.equal(code, 64)
    assert.ok(!stderr.includes(secret))
  })
})

test('switches that every command has may come first', async () => {
  const { stderr } = await hitl(['--json', 'migrate', 'now'])
  assert.equal(JSON.parse(stderr).error.code, 'usage')
})
