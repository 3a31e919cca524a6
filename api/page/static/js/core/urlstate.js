// What a view shows is in its URL: it can be sent to somebody, reloaded and gone back to.

/** The parameter, or `fallback`. */
export function read(name, fallback = null) {
  return new URLSearchParams(location.search).get(name) ?? fallback;
}

/** Sets parameters, and takes out those that are null or "". Adds no step to go back by. */
export function write(values) {
  const url = new URL(location.href);
  for (const [name, value] of Object.entries(values)) {
    if (value === null || value === undefined || value === "") url.searchParams.delete(name);
    else url.searchParams.set(name, String(value));
  }
  history.replaceState(history.state, "", url);
}

/** The last part of the path that the pattern leaves open: segment("/jobs/{}/result"). */
export function segment(pattern) {
  const expected = pattern.split("/");
  const found = location.pathname.split("/");
  const at = expected.indexOf("{}");
  return decodeURIComponent(found[at] ?? "");
}
