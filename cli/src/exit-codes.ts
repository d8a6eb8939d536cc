/** Exit codes. Those from 64 on are from sysexits.h. A command ended by a signal ends with that signal. */
export const exitCodes = {
  done: 0,
  failed: 1,
  tampered: 2,
  /** Nothing shows a change, but nothing shows that there was none either. */
  unproven: 3,
  /** EX_USAGE: the command line is wrong, so trying again cannot help. */
  usage: 64,
  /** EX_UNAVAILABLE: a database or a service does not respond; the same command may work later. */
  unavailable: 69,
  /** EX_CONFIG: a setting is wrong; a supervisor should not try again. */
  config: 78,
} as const

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]
