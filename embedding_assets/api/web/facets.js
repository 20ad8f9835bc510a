// What a search can be narrowed by: the categories and names in the documents, with their counts.

import { make } from "./dom.js";

const SHOWN = 8;
const KINDS = { ORG: "Organisations", PER: "People", PERSON: "People", LOC: "Places", GPE: "Places",
  MONEY: "Amounts", DATE: "Dates", MISC: "Other names" };

/** Rows of buttons that narrow a search; those in use are left out. `onFilter` hears of one. */
export function facetRows(facets, used, onFilter) {
  const inUse = new Set(used.map((filter) => filter.toLowerCase()));
  const row = (title, all) => {
    const entries = all.filter(({ filter }) => !inUse.has(filter.toLowerCase())).slice(0, SHOWN);
    if (!entries.length) return null;
    return make("div", { class: "facet-row", role: "group", "aria-label": title },
      make("span", { class: "facet-title", "aria-hidden": "true" }, title),
      make("ul", {}, entries.map((entry) => make("li", {}, facetButton(entry, onFilter)))));
  };
  const hasCategory = used.some((filter) => /^\s*category\s*=/i.test(filter));
  const categories = facets.categories.map(({ category, count }) =>
    ({ words: category, count, of: "documents", filter: `category=${category}` }));
  const entities = facets.entities.map(({ label, text, count }) =>
    ({ words: text, title: KINDS[label] ?? label, count, of: "passages", filter: `entity=${label}:${text}` }));
  return [hasCategory ? null : row("Categories", categories), row("Names", entities)].filter(Boolean);
}

function facetButton({ words, title, count, of, filter }, onFilter) {
  return make("button", { type: "button", class: "facet", title: title ?? null,
    "aria-label": `Only ${words}: ${count} ${of}`, on: { click: () => onFilter(filter) } },
    make("span", { class: "facet-words" }, words), make("span", { class: "facet-count" }, count));
}

/** Fills the form's choices; a field with nothing to choose stays hidden. */
export function fillChoices(parts, form, facets) {
  const category = form.elements.category;
  const chosen = category.value;
  category.replaceChildren(make("option", { value: "" }, "Any"),
    ...facets.categories.map((each) => make("option", { value: each.category }, `${each.category} (${each.count})`)));
  category.value = chosen;
  parts["category-field"].hidden = !facets.categories.length;
  form.querySelector("#known-entities").replaceChildren(
    ...facets.labels.map(({ label }) => make("option", { value: `${label}:*` })),
    ...facets.entities.map(({ text }) => make("option", { value: text })));
  parts["entity-field"].hidden = !facets.entities.length;
}
