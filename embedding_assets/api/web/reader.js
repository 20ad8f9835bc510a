// The text of a document, in stretches.

import { call, isAborted, Problem } from "./api.js";
import { make, problemBox } from "./dom.js";

const STRETCH = 500; // blocks
const MOST = 20; // stretches that are read at once to reach a page
const TAGS = { title: "h3", heading: "h4", code: "pre", table: "pre" };

/** The text up to a page at least, and the block with which that page begins (null: the start). */
export async function readText(docId, page, signal) {
  const text = make("div", { class: "blocks" });
  let next = 0;
  let wanted = null;
  for (let count = 0; next !== null && count < MOST; count += 1) {
    next = await readOn(text, docId, next, signal);
    wanted = text.querySelector(`[data-page="${page}"]`);
    if (page <= 1 || wanted) break;
  }
  return { text, wanted: page > 1 ? wanted : null };
}

/** Adds the next stretch; gives where the one after it begins, or null. */
async function readOn(text, docId, start, signal) {
  const query = { doc_id: docId, start, limit: STRETCH };
  const read = await call("documents/read", { query, signal });
  text.querySelector(".more")?.remove();
  text.append(...read.blocks.map(blockOf));
  if (read.next !== null) text.append(moreButton(text, docId, read.next, signal));
  return read.next;
}

function moreButton(text, docId, next, signal) {
  const load = async (event) => {
    event.target.disabled = true;
    try {
      await readOn(text, docId, next, signal);
    } catch (error) {
      if (isAborted(error)) return;
      if (!(error instanceof Problem)) throw error;
      event.target.replaceWith(problemBox(error));
    }
  };
  return make("button", { type: "button", class: "more", on: { click: load } }, "Read on");
}

function blockOf(block) {
  const text = block.marker ? `${block.marker} ${block.text}` : block.text;
  return make(TAGS[block.kind] ?? "p", { class: `block-${block.kind}`, "data-page": block.pages[0] }, text);
}
