// What this browser keeps: the key in this tab, the theme, and the random number for experiments.

const NAME = "embedding-assets.";
const AWAY = "off";

function guarded(action) {
  try {
    return action();
  } catch {
    return null; // storage is switched off: nothing is kept
  }
}

const kept = (area, name) => guarded(() => area().getItem(NAME + name));

function keep(area, name, value) {
  guarded(() => (value ? area().setItem(NAME + name, value) : area().removeItem(NAME + name)));
}

const tab = () => sessionStorage;
const browser = () => localStorage;

export const key = () => kept(tab, "key");
export const keepKey = (value) => keep(tab, "key", value);

export const theme = () => kept(browser, "theme") ?? "system";
export const keepTheme = (value) => keep(browser, "theme", value === "system" ? null : value);

/** A random name of 128 bits. `randomUUID` exists only where the page came over https. */
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Whether this browser takes part in experiments. */
export const takesPart = () => kept(browser, "unit") !== AWAY;

/** To take part, or not: then the number is deleted. */
export function takePart(yes) {
  keep(browser, "unit", yes ? null : AWAY);
}

/** The random number by which an experiment knows this browser; null where it takes no part. */
export function unit() {
  if (!takesPart()) return null;
  let known = kept(browser, "unit");
  if (!known) {
    keep(browser, "unit", randomId());
    known = kept(browser, "unit");
  }
  return known;
}
