// Filters as the service reads them (`page=3..5`), as chips, and as a form.

import { icon, make } from "./dom.js";

const NAMES = { document: "Document", title: "Title", format: "Format", category: "Category",
  entity: "Name", page: "Pages", date: "Modified" };
const FORMATS = { pdf: "PDF", docx: "Word", json: "JSON", pair: "text and page table" };

/** A filter in words: `Pages 3–5`, `Modified from 2026-01-01`. */
export function wordsOf(filter) {
  const [, name, operator, value] = /^\s*(\w+)\s*(>=|<=|=)\s*(.*)$/s.exec(filter) ?? [];
  if (!(name in NAMES)) return filter;
  if (operator === ">=") return `${NAMES[name]} from ${value}`;
  if (operator === "<=") return `${NAMES[name]} up to ${value}`;
  if (name === "entity") return wordsOfEntity(value);
  if (name === "format") return `${NAMES[name]} ${FORMATS[value] ?? value}`;
  return `${NAMES[name]} ${name === "page" ? value.replace("..", "–") : value}`;
}

/** `org:acme` as `acme`, `org:*` as `Any org`. */
function wordsOfEntity(value) {
  const [, label, text] = /^([A-Z_]+):(.+)$/is.exec(value) ?? [];
  if (!label) return `${NAMES.entity} ${value}`;
  return text === "*" ? `Any ${label}` : `${NAMES.entity} ${text}`;
}

/** The chips of filters; `onRemove` hears of the one whose cross was pressed. */
export function chips(filters, onRemove) {
  return filters.map((filter) => {
    const words = wordsOf(filter);
    return make("li", { class: "chip" },
      make("span", { title: words }, words),
      make("button", { type: "button", class: "quiet square", "aria-label": `Remove: ${words}`,
        on: { click: () => onRemove(filter) } }, icon("close")));
  });
}

/** What a filled form asks for, as filters. */
export function readForm(form) {
  const value = (name) => form.elements[name].value.trim();
  const asked = [];
  if (value("document")) asked.push(`document=${value("document")}`);
  if (value("format")) asked.push(`format=${value("format")}`);
  if (value("category")) asked.push(`category=${value("category")}`);
  if (value("entity")) asked.push(`entity=${value("entity")}`);
  const [first, last] = [value("page-first"), value("page-last")];
  if (first && last) asked.push(first === last ? `page=${first}` : `page=${first}..${last}`);
  else if (first) asked.push(`page>=${first}`);
  else if (last) asked.push(`page<=${last}`);
  if (value("date-first")) asked.push(`date>=${value("date-first")}`);
  if (value("date-last")) asked.push(`date<=${value("date-last")}`);
  return asked;
}

/** The filters with new ones: a new span of pages or days takes the place of the old. */
export function withFilters(filters, added) {
  const field = (filter) => /^\s*(\w*)/.exec(filter)[1];
  const replaced = new Set(added.map(field).filter((name) => name === "page" || name === "date"));
  const kept = filters.filter((filter) => !replaced.has(field(filter)));
  return [...new Set([...kept, ...added])];
}
