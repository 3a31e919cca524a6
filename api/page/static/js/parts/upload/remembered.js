// Which uploads this browser began. A file cannot be kept across a reload; what it was can, so that the
// same is asked for again.

const KEY = "uploads";
const LONGEST = 3 * 86_400_000; // milliseconds; the service keeps an unfinished upload for a day

/** {name, folder: whether it was one, files: how many} of an upload, or null where another client began it. */
export const remembered = (id) => kept()[id] ?? null;

export function remember(id, { name, folder, files }) {
  localStorage.setItem(KEY, JSON.stringify({ ...kept(), [id]: { name, folder, files, at: Date.now() } }));
}

export function forget(id) {
  const { [id]: _, ...others } = kept();
  localStorage.setItem(KEY, JSON.stringify(others));
}

/** Runs `work` while other tabs can see that this upload is being sent, where browsers have locks. */
export const whileSending = (id, work) => (navigator.locks ? navigator.locks.request(nameOf(id), { mode: "shared" }, work) : work());

/** Whether a tab of this browser sends it. */
export async function isBeingSent(id) {
  const found = await navigator.locks?.query();
  return found?.held.some((lock) => lock.name === nameOf(id)) ?? false;
}

const nameOf = (id) => `upload ${id}`;

function kept() {
  let found = null;
  try {
    found = JSON.parse(localStorage.getItem(KEY));
  } catch {
    // Not ours, or damaged: nothing is known then.
  }
  return Object.fromEntries(Object.entries(found ?? {}).filter(([, each]) => each?.at > Date.now() - LONGEST));
}
