/**
 * Passwords that are tried first (OWASP ASVS 5.0, 6.2.4). Lists of leaked passwords consist of few words, names and
 * runs over the keyboard, each with the same few endings; so the families are written down, and the some 14 000 passwords
 * are made of them. All in lower case, and of 8 characters or more: shorter ones are refused anyway.
 */
const words = `
password passw0rd p@ssword p@ssw0rd pa55word passwort motdepasse contrasena senha wachtwoord
qwerty qwertz azerty asdfgh zxcvbn qazwsx 1q2w3e abc abcd abcdef abc123 aaa
iloveyou ilove loveyou lovely love loveme mylove forever babygirl babyboy baby angel angels princess prince
sunshine shadow monkey dragon master letmein welcome login admin administrator root guest user default changeme
superman batman spiderman ironman starwars pokemon naruto matrix hunter killer ninja samurai warrior wizard
football baseball soccer basketball hockey golfer tennis rangers yankees lakers cowboys eagles steelers chelsea arsenal
liverpool barcelona juventus realmadrid manchester united
michael jennifer jessica michelle ashley daniel jordan joshua thomas robert andrew charlie anthony matthew william
richard nicole samantha elizabeth amanda melissa stephanie christian alexander alexandra benjamin jonathan nicholas
victoria veronica patricia christina katherine isabella gabriel sebastian martin george maggie pepper ginger buster
harley tigger cookie chocolate cheese banana orange cherry flower rainbow butterfly summer winter autumn spring
computer internet google facebook microsoft windows linux samsung iphone nokia apple mustang ferrari mercedes porsche
corvette yamaha honda toyota diamond silver golden purple yellow freedom whatever nothing something jesus jesuschrist
blessed heaven trustno blink guitar metallica nirvana eminem slipknot snoopy scooter mickey minnie garfield simpsons
america canada england london paris berlin chicago boston dallas phoenix california florida australia mexico brasil
hello hellokitty smile friends family mother father daddy lucky happy secure access security server system manager
office company business cisco oracle support service temp temporary letmeinnow openup sesame opensesame
`

const endings = `
1 2 3 7 01 07 10 11 12 13 21 22 23 69 77 88 99 00 007 100 101 111 123 321 666 777 789 999 000 1234 4321 12345 123456
! !! 1! 12! 123! 1234! @1 @12 @123 @1234 . .. # 1# 123# ? * _1 _123 2000 2010 2015 2018 2019 2020 2021 2022 2023 2024 2025 2026
`

const whole = `
1qaz2wsx 1qaz2wsx3edc 1qazxsw2 qazwsxedc qazwsx123 zaq12wsx zaq1xsw2 xsw2zaq1 !qaz2wsx 1qaz@wsx q1w2e3r4 q1w2e3r4t5
q1w2e3r4t5y6 1q2w3e4r 1q2w3e4r5t 1q2w3e4r5t6y 1234qwer qwer1234 qwer4321 asdf1234 asdfasdf zxcvasdf asdfqwer qweasdzxc
qweasd123 qweqweqwe qwe123qwe qwe12345 qwerasdf asd123asd a1b2c3d4 a1s2d3f4 aa123456 a123456789 a12345678 abc12345
abcd1234 abcd12345 abcde12345 abc123abc 123456789a 12345678a 123456abc 123456aa 1234abcd 123qweasd 123qwe123 123qweasdzxc
1a2b3c4d 1234567q 12345qwert 123abc456 00001111 11112222 12344321 11223344 1122334455 112233445566 13131313 31415926
3141592654 14725836 147258369 147852369 159357123 159753456 123321123 123654789 741852963 789456123 963852741 987654321
9876543210 951753852 22446688 13579246 135792468 246813579 24682468 01234567 0123456789 01230123 102030405060 1029384756
10203040 1020304050 77777778 12345679 1234567891 12345678910 123456789123 1234512345 123456123456 5201314520 52013145
iloveyou iloveyou2 iloveu123 ilovegod ilovehim ihateyou ilovejesus iloveme1 fuckyou1 fuckyou2 fuckoff1 asshole1 bullshit
trustno1 letmein1 blink182 jordan23 michael1 charlie1 matthew1 mustang1 harley123 slipknot666 thx11381138 ncc1701d ncc1701e
rush2112 bond007bond p@$$w0rd p@$$word pa$$word pa$$w0rd passpass password. mypassword yourpassword newpassword
thepassword nopassword adminadmin rootroot useruser guestguest changeme1 changethis letmein! welcome1! administrator1
topsecret whatsup1 goodluck fishing1 bigdaddy maverick mountain scorpion crystal1 midnight sunflower sandiego
baseball1 playstation nintendo minecraft fortnite roblox123 callofduty warcraft starcraft counterstrike
`

const rows = [
  '1234567890',
  '0987654321',
  'qwertyuiop',
  'qwertzuiop',
  'azertyuiop',
  'poiuytrewq',
  'asdfghjkl',
  'zxcvbnm,./',
  'abcdefghijklmnopqrstuvwxyz',
]
const shortest = 8

const split = (text: string): readonly string[] => text.split(/\s+/).filter((word) => word !== '')

function* families(): Generator<string> {
  yield* split(whole)
  for (const word of split(words)) {
    yield word
    yield word + word
    for (const ending of split(endings)) yield word + ending
  }
  for (const row of rows) {
    for (let start = 0; start + shortest <= row.length; start += 1) {
      for (let end = start + shortest; end <= row.length; end += 1) yield row.slice(start, end)
    }
    for (const start of [4, 5, 6]) yield row.slice(0, start).repeat(2)
  }
  for (const unit of [
    ...'0123456789abcdefghijklmnopqrstuvwxyz*.!',
    '12',
    '69',
    '13',
    '01',
    '10',
    '00',
    '123',
    'abc',
    'qwe',
    'asd',
    'xyz',
  ]) {
    for (let length = shortest; length <= 12; length += 1) yield unit.repeat(12).slice(0, length)
  }
}

let known: ReadonlySet<string> | null = null

/** Whether the password, in any case, is one of those that are tried first. */
export function isCommonPassword(password: string): boolean {
  known ??= new Set([...families()].filter((one) => one.length >= shortest))
  return known.has(password.toLowerCase())
}

export function commonPasswordCount(): number {
  isCommonPassword('')
  return known?.size ?? 0
}
