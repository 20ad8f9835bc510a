// The passages that a search found, and what stands there before anything is searched for.

import { emptyBox, icon, make } from "./dom.js";
import { pagesText, plural, score } from "./format.js";
import { excerpt, marked } from "./highlight.js";

/** What a hit is called: its document's title, or the end of its path. */
export function nameOf(item) {
  return item.title || (item.path ?? "").split("/").at(-1) || item.doc_id;
}

/** The list of hits. `addressOf` gives a hit's link, `onOpen` hears of a hit that is opened. */
export function hitList(hits, { addressOf, onOpen, onFilter }) {
  return make("ol", { class: "hits" },
    hits.map((hit, rank) => hitItem(hit, rank, { addressOf, onOpen, onFilter })));
}

function hitItem(hit, rank, { addressOf, onOpen, onFilter }) {
  const open = () => onOpen(hit);
  const link = make("a", { class: "hit-link", href: addressOf(hit), "data-chunk": hit.chunk_id,
    on: { click: open } }, nameOf(hit));
  const shown = excerpt(hit.text, hit.highlights ?? []);
  const item = make("li", { class: "hit" },
    make("article", { "aria-label": `Result ${rank + 1}: ${nameOf(hit)}` },
      make("header", { class: "hit-head" },
        make("h2", {}, link),
        make("span", { class: "hit-score", title: "Score" }, score(hit.score))),
      placeLine(hit, onFilter),
      make("p", { class: hit.kind === "table" || hit.kind === "code" ? "hit-text fixed" : "hit-text" },
        shown.isCut[0] ? "… " : null, ...marked(shown.text, shown.ranges), shown.isCut[1] ? " …" : null)));
  item.addEventListener("click", (event) => {
    const isTaken = event.target.closest("a, button") || String(getSelection());
    if (!isTaken) link.click();
  });
  return item;
}

function placeLine(hit, onFilter) {
  const pages = pagesText(hit.pages);
  return make("p", { class: "hit-place" },
    make("button", { type: "button", class: "link hit-path", title: "Search in this document only",
      on: { click: () => onFilter(`document=${hit.path}`) } }, hit.path),
    pages ? make("span", {}, pages) : null,
    hit.category ? make("button", { type: "button", class: "link hit-path", title: "Search in this category only",
      on: { click: () => onFilter(`category=${hit.category}`) } }, hit.category) : null,
    headingPath(hit));
}

/** The headings above a passage, outermost first, without its document's title; null if none. */
export function headingPath({ heading_path: path = [], title }) {
  const headings = path[0] === title ? path.slice(1) : path;
  if (!headings.length) return null;
  return make("span", { class: "headings" },
    headings.map((heading, depth) => [depth ? make("span", { "aria-hidden": "true" }, " › ") : null,
      heading]));
}

/** The documents that can be searched; `addressOf` gives a document's link. */
export function documentList(documents, { addressOf, onFilter }) {
  if (!documents.length) return emptyBox("No documents yet", "Once documents are indexed, they appear here.");
  return make("ul", { class: "documents card" }, documents.map((each) =>
    make("li", {},
      icon("document"),
      make("div", {},
        make("a", { href: addressOf(each) }, nameOf(each)),
        make("p", { class: "hint break" }, [each.path, ...sizes(each), each.category].filter(Boolean).join(" · "))),
      make("button", { type: "button", class: "quiet",
        "aria-label": `Search in ${nameOf(each)} only`,
        on: { click: () => onFilter(`document=${each.path}`) } }, icon("filter")))));
}

function sizes(document) {
  const pages = Array.isArray(document.pages) ? document.pages.length : document.pages;
  return [pages ? plural(pages, "page") : null, document.chunks ? plural(document.chunks, "passage") : null]
    .filter(Boolean);
}
