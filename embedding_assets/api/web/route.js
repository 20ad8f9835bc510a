// What the page shows, as the hash of its address: `#/search?q=…&f=…`, `#/experiments/ID`.

/** The view, what follows it in the path, and the query of the present address. */
export function readRoute() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [view = "", ...rest] = path.split("/");
  return { view, rest: rest.map(decode), query: new URLSearchParams(query) };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a stray % in an address that somebody typed
  }
}

/** The address of a view; null, "" and empty lists are left out of the query. */
export function addressOf(path, values = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== null && each !== undefined && each !== "") query.append(name, each);
    }
  }
  const text = query.toString();
  return `#/${path.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

/** Puts an address into the bar without a step in the history. */
export function replaceAddress(address) {
  history.replaceState(null, "", address);
}
