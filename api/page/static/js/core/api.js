// Asking the public API. The session's cookie goes along by itself.

/** What the API answered instead of what was asked for: its code, its sentence, the field. */
export class ApiError extends Error {
  constructor(status, error, retryAfter = null) {
    super(error?.message ?? `The service answered ${status}.`);
    this.status = status;
    this.code = error?.code ?? null;
    this.param = error?.param ?? null;
    this.retryAfter = retryAfter;
  }
}

/** No answer at all: the network or the service is away. */
export class Unreachable extends Error {
  constructor(cause) {
    super("The service cannot be reached; it will be asked again.", { cause });
  }
}

/** The JSON answer to a GET. */
export const get = (path, options) => ask("GET", path, options);
/** Of a POST with a JSON body. */
export const post = (path, json, options) => ask("POST", path, { json, ...options });

/**
 * One request. `json` or `body` is sent; the answer is JSON, or with `raw` the Response itself.
 * Throws ApiError, Unreachable, or the AbortError of `signal`. Whoever is not signed in is sent to
 * where they can.
 */
export async function ask(method, path, { json, body, headers = {}, signal, raw = false, stay = false } = {}) {
  const sent = { method, headers: { ...headers }, signal, body, credentials: "same-origin" };
  if (json !== undefined) {
    sent.headers["content-type"] = "application/json";
    sent.body = JSON.stringify(json);
  }
  let answer;
  try {
    answer = await fetch(path, sent);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable(error);
  }
  if (answer.status === 401 && !stay) {
    signIn();
    return new Promise(() => {}); // the page is about to go
  }
  if (!answer.ok) throw await refusal(answer);
  return raw ? answer : answer.json();
}

/** Every item of a list, page after page; at most `most`. */
export async function all(path, most = Infinity, options) {
  const found = [];
  let after = null;
  do {
    const url = new URL(path, location.origin);
    url.searchParams.set("limit", String(Math.min(100, most - found.length)));
    if (after) url.searchParams.set("after", after);
    const page = await get(url.pathname + url.search, options);
    found.push(...page.data);
    after = page.has_more && page.data.length ? page.data.at(-1).id : null;
  } while (after && found.length < most);
  return found;
}

/** To the page where a key is asked for, and back here afterwards. */
export function signIn() {
  const here = location.pathname + location.search;
  location.replace(here === "/" ? "/sign-in" : `/sign-in?next=${encodeURIComponent(here)}`);
}

async function refusal(answer) {
  let error = null;
  try {
    error = (await answer.json()).error;
  } catch {
    // Not the service's own words, but a proxy's perhaps: the status has to do.
  }
  return new ApiError(answer.status, error, Number(answer.headers.get("retry-after")) || null);
}
