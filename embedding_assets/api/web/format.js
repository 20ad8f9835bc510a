// Numbers and dates as people write them.

const wholes = new Intl.NumberFormat("en");

export const whole = (value) => wholes.format(value);

/** With as many digits as tell something. */
export function number(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  return new Intl.NumberFormat("en", { maximumSignificantDigits: digits }).format(value).replace("-", "−");
}

/** With two decimals, so that scores below one another can be compared. */
export function score(value) {
  return value === null || value === undefined ? "–" : value.toFixed(2).replace("-", "−");
}

/** A rate as percent, always with three digits. */
export function rate(value) {
  if (value === null || value === undefined) return "–";
  const digits = { minimumSignificantDigits: 3, maximumSignificantDigits: 3 };
  return `${value ? new Intl.NumberFormat("en", digits).format(value * 100) : 0} %`;
}

/** A share as percent, with as many digits as tell something. */
export function percent(value, digits = 3) {
  return value === null || value === undefined ? "–" : `${number(value * 100, digits)} %`;
}

/** A change with its sign. */
export function signed(value, write = number) {
  if (value === null || value === undefined) return "–";
  return value > 0 ? `+${write(value)}` : write(value);
}

export const plural = (count, one, many = `${one}s`) => `${whole(count)} ${count === 1 ? one : many}`;

/** `p. 3`, `pp. 3–5, 9`; "" without pages. */
export function pagesText(pages) {
  const runs = [];
  for (const page of pages ?? []) {
    const last = runs.at(-1);
    if (last && page === last[1] + 1) last[1] = page;
    else runs.push([page, page]);
  }
  const text = runs.map(([from, to]) => (from === to ? from : `${from}–${to}`)).join(", ");
  return text && `${pages.length === 1 ? "p." : "pp."} ${text}`;
}

/** A day, and the time of it where the moment has one. */
export function moment(text) {
  const date = text ? new Date(text) : null;
  if (!date || Number.isNaN(date.getTime())) return text ?? "";
  return new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" }).format(date);
}
