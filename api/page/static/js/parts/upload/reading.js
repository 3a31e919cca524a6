// Reading what somebody chose. It is theirs: it may change or go while it is read.

/** Something is wrong with what was chosen; the message is for who chose it. */
export class Unusable extends Error {}

/** Bytes of a file, which is called `path` where it cannot be read. Throws Unusable. */
export async function bytesOf(file, start, end, path = file.name) {
  try {
    return new Uint8Array(await file.slice(start, end).arrayBuffer());
  } catch (error) {
    throw new Unusable(`${path} cannot be read: it was changed, moved or taken away. Choose again when nothing changes any more.`, { cause: error });
  }
}
