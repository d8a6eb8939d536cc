import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Creates the folder and those above it that are missing. Node's own recursive mkdir tries for ever, at full speed and deaf to
 * signals, where a file system reports that the parent of a new folder is missing though it is there (/proc).
 */
export async function makeFolder(path: string, mode = 0o777): Promise<void> {
  try {
    await mkdir(path, mode)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' && (await isFolder(path))) return
    const above = dirname(path)
    if (code !== 'ENOENT' || above === path || (await isFolder(above))) throw error
    await makeFolder(above, mode)
    await makeFolder(path, mode)
  }
}

function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}

/** An error of the operating system with what is wrong with the data folder and what to do; any other error as it is. */
export function dataFolderError(error: unknown, folder: string): Error {
  const text = error instanceof Error ? error.message : String(error)
  const say = (sentence: string) => new Error(`${sentence} (${text})`, { cause: error })
  if (/ENOSPC|EDQUOT|No space left/i.test(text))
    return say(`The disk that holds ${folder} is full. Free some space and start again.`)
  // A file system that is read-only, or takes no folders (/proc), reports ENOENT for a new folder.
  if (/ENOENT.*mkdir|EROFS|EACCES|EPERM|Read-only file system|Permission denied/i.test(text))
    return say(
      `The data folder ${folder} cannot be used by this account. Start as the account that owns it, give the folder to this account (chown -R), or set DATA_DIR to another folder.`,
    )
  if (/ENOTDIR|EEXIST/.test(text))
    return say(`The data folder ${folder} is not a folder. Set DATA_DIR to another place.`)
  return error instanceof Error ? error : new Error(text)
}
