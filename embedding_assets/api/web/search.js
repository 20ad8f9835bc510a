// The view that searches in documents.

import { call, isAborted, Problem, sendClick } from "./api.js";
import { announce, emptyBox, fromTemplate, isTyping, make, problemBox, skeleton } from "./dom.js";
import { facetRows, fillChoices } from "./facets.js";
import { chips, readForm, withFilters } from "./filters.js";
import { plural } from "./format.js";
import { Panel } from "./panel.js";
import { documentList, hitList } from "./results.js";
import { addressOf, replaceAddress } from "./route.js";
import { unit } from "./store.js";

const PAUSE = 150; // milliseconds without a key, after which a search begins
const COUNT = 10;
const MOST = 50;
const DOCUMENTS = 20;
const MOST_NAMES = 200;

export function mount(main, route) {
  return new SearchView(main, route);
}

class SearchView {
  constructor(main, route) {
    const { root, parts } = fromTemplate("view-search");
    this.root = root;
    this.parts = parts;
    this.box = root.querySelector("#query");
    this.form = root.querySelector("#filter-form");
    this.answer = null;
    this.asked = null;
    this.request = null;
    this.clicked = new Set();
    this.panel = new Panel(parts.panel, root.querySelector(".search-main"), {
      onPage: (page) => this.goTo({ page }),
      onClose: () => this.closePanel(),
    });
    this.onKey = (event) => this.pressed(event);
    document.addEventListener("keydown", this.onKey);
    this.listen();
    main.replaceChildren(root);
    this.update(route);
    if (!this.state.hit && !this.state.doc && matchMedia("(hover: hover)").matches) this.box.focus();
  }

  leave() {
    clearTimeout(this.timer);
    this.request?.abort();
    this.facetRequest?.abort();
    this.panel.dispose();
    document.removeEventListener("keydown", this.onKey);
  }

  listen() {
    const { parts } = this;
    this.box.addEventListener("input", (event) => event.isComposing || this.typed(PAUSE));
    this.box.addEventListener("compositionend", () => this.typed(PAUSE));
    this.root.querySelector(".search-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.typed(0);
    });
    parts.mode.addEventListener("change", (event) => this.change({ mode: event.target.value }));
    parts["filter-open"].addEventListener("click", () => this.showFilters(this.form.hidden));
    parts["filter-close"].addEventListener("click", () => this.showFilters(false));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      const added = readForm(this.form);
      this.form.reset();
      this.showFilters(false);
      if (added.length) this.change({ filters: withFilters(this.state.filters, added) });
    });
  }

  /** Shows what the address says. */
  update(route) {
    const { query } = route;
    this.state = {
      q: query.get("q") ?? "",
      mode: ["hybrid", "semantic", "keyword"].includes(query.get("mode")) ? query.get("mode") : "auto",
      filters: query.getAll("f"),
      k: Math.min(MOST, Math.max(1, Number(query.get("k")) || COUNT)),
      hit: query.get("hit"),
      doc: query.get("doc"),
      page: Number(query.get("page")) || null,
    };
    if (document.activeElement !== this.box) this.box.value = this.state.q;
    this.root.querySelector(`[name="mode"][value="${this.state.mode}"]`).checked = true;
    const onRemove = (filter) => {
      this.change({ filters: this.state.filters.filter((each) => each !== filter) });
      this.box.focus();
    };
    this.parts.chips.replaceChildren(...chips(this.state.filters, onRemove));
    const subject = this.state.q.trim() || "Search";
    document.title = `${subject} · Embedding Assets`;
    this.run();
    this.showFacets();
    this.showPanel();
  }

  address(values) {
    const { filters, mode, k, ...state } = { ...this.state, ...values };
    return addressOf(["search"],
      { ...state, mode: mode === "auto" ? null : mode, f: filters, k: k === COUNT ? null : k });
  }

  /** Goes to another address without a step in the history. */
  change(values) {
    const state = { hit: null, doc: null, page: null, k: COUNT, ...values };
    replaceAddress(this.address(state));
    this.update({ query: new URLSearchParams(location.hash.split(/\?(.*)/s)[1] ?? "") });
  }

  goTo(values) {
    replaceAddress(this.address(values));
    this.state = { ...this.state, ...values };
    this.showPanel();
  }

  typed(pause) {
    clearTimeout(this.timer);
    const begin = () => {
      if (this.box.value.trim() !== this.state.q.trim()) this.change({ q: this.box.value });
    };
    if (pause) this.timer = setTimeout(begin, pause);
    else begin();
  }

  /** Asks for what the state wants, unless that was asked last. */
  async run({ again = false } = {}) {
    const { q, mode, filters, k } = this.state;
    const wanted = JSON.stringify([q.trim(), mode, filters, k]);
    if (wanted === this.asked && !again) return;
    this.asked = wanted;
    this.request?.abort();
    const request = (this.request = new AbortController());
    const area = this.parts.answer;
    area.setAttribute("aria-busy", "true");
    if (!area.childElementCount) area.replaceChildren(...skeleton(3));
    try {
      await (q.trim() ? this.search(request.signal) : this.listDocuments(request.signal));
    } catch (error) {
      if (isAborted(error)) return;
      if (!(error instanceof Problem)) throw error;
      this.answer = null;
      this.parts.line.replaceChildren();
      area.replaceChildren(problemBox(error, () => this.run({ again: true })));
    } finally {
      if (request === this.request) area.setAttribute("aria-busy", "false");
    }
  }

  async search(signal) {
    const { q, mode, filters, k } = this.state;
    const body = { query: q.trim(), k };
    if (filters.length) body.filters = filters;
    if (mode !== "auto") body.mode = mode;
    else if (unit()) body.unit = unit();
    const answer = await call("search", { body, signal });
    this.answer = { ...answer, unit: body.unit ?? null };
    this.clicked.clear();
    this.showAnswer();
    this.showPanel();
  }

  showAnswer() {
    const { results, mode, took_ms: took, experiment } = this.answer;
    const count = results.length ? plural(results.length, "passage") : "No passage found";
    const names = { hybrid: "by meaning and words", semantic: "by meaning", keyword: "by words" };
    this.parts.line.replaceChildren(
      [count, names[mode] ?? mode, `${Math.max(1, Math.round(took))} ms`].join(" · "),
      ...(experiment ? [" · ", make("a", { href: addressOf(["experiments", experiment.id]) }, "experiment")] : []));
    announce(count);
    if (!results.length) {
      const hint = this.state.filters.length
        ? "No passage meets the filters and answers this. Remove a filter, or say it in other words."
        : "Say it in other words, or search by meaning.";
      this.parts.answer.replaceChildren(emptyBox("Nothing found", hint));
      return;
    }
    const list = hitList(results, {
      addressOf: (hit) => this.address({ hit: hit.chunk_id, doc: null, page: null }),
      onOpen: (hit) => this.count(hit),
      onFilter: (filter) => this.change({ filters: withFilters(this.state.filters, [filter]) }),
    });
    const more = results.length === this.state.k && this.state.k < MOST
      ? make("button", { type: "button", class: "more", on: { click: () => this.showMore() } }, "More passages")
      : null;
    this.parts.answer.replaceChildren(...[list, more].filter(Boolean));
  }

  async showMore() {
    const known = this.links().length;
    replaceAddress(this.address({ k: Math.min(MOST, this.state.k + COUNT) }));
    this.state.k = Math.min(MOST, this.state.k + COUNT);
    await this.run();
    this.links()[known]?.focus();
  }

  async listDocuments(signal, after = null) {
    this.answer = null;
    const { documents, next } = await call("documents", { query: { limit: DOCUMENTS, after }, signal });
    const area = this.parts.answer;
    const list = documentList(documents, {
      addressOf: (each) => this.address({ doc: each.doc_id, hit: null, page: null }),
      onFilter: (filter) => {
        this.change({ filters: withFilters(this.state.filters, [filter]) });
        this.box.focus();
      },
    });
    if (after === null) {
      const known = document.getElementById("known-documents");
      known.replaceChildren(...documents.map((each) => make("option", { value: each.path })));
      this.parts.line.replaceChildren(documents.length ? "What can be searched" : "");
      area.replaceChildren(list);
    } else {
      area.querySelector(".more")?.remove();
      area.append(list);
    }
    if (next) {
      const load = (event) => {
        event.target.disabled = true;
        this.listDocuments(signal, next).catch((error) => {
          if (!isAborted(error)) area.append(problemBox(error));
        });
      };
      area.append(make("button", { type: "button", class: "more", on: { click: load } }, "More documents"));
    }
  }

  /** Tells a running experiment once per answer that this hit was opened. */
  count(hit) {
    const answer = this.answer;
    if (!answer?.experiment || this.clicked.has(hit.chunk_id)) return;
    this.clicked.add(hit.chunk_id);
    sendClick(answer.experiment, answer.unit);
  }

  /** What the passages that meet the filters can be narrowed by; without an answer, nothing. */
  async showFacets() {
    const { filters } = this.state;
    const wanted = JSON.stringify(filters);
    if (wanted === this.facetsOf) return;
    this.facetsOf = wanted;
    this.facetRequest?.abort();
    const request = (this.facetRequest = new AbortController());
    const area = this.parts.facets;
    try {
      const facets = await call("facets", { query: { filter: filters }, signal: request.signal });
      const rows = facetRows(facets, filters, (filter) => {
        this.change({ filters: withFilters(this.state.filters, [filter]) });
        this.box.focus();
      });
      area.replaceChildren(...rows);
      area.hidden = !rows.length;
    } catch (error) {
      if (isAborted(error)) return;
      if (!(error instanceof Problem)) throw error;
      this.facetsOf = null;
      area.hidden = true;
    }
  }

  showPanel() {
    const { hit: wanted, doc, page } = this.state;
    const hit = wanted && this.answer?.results.find((each) => each.chunk_id === wanted);
    for (const link of this.links()) {
      if (link.dataset.chunk === wanted) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    this.root.classList.toggle("with-panel", Boolean(hit || doc));
    if (hit) this.panel.show(hit, page);
    else if (doc) this.panel.show({ doc_id: doc }, page);
    else this.panel.close();
  }

  closePanel() {
    const { hit, doc } = this.state;
    this.goTo({ hit: null, doc: null, page: null });
    const link = hit ? this.links().find((each) => each.dataset.chunk === hit) : null;
    if (hit || doc) (link ?? this.box).focus();
  }

  links() {
    return [...this.parts.answer.querySelectorAll(".hit-link")];
  }

  /** Offers in the form what occurs in all documents. */
  async offerChoices() {
    try {
      fillChoices(this.parts, this.form, await call("facets", { query: { most: MOST_NAMES } }));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
    }
  }

  showFilters(yes) {
    if (yes) this.offerChoices();
    this.form.hidden = !yes;
    this.parts["filter-open"].setAttribute("aria-expanded", String(yes));
    (yes ? this.form.elements.document : this.parts["filter-open"]).focus();
  }

  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "/" && !isTyping(event)) {
      event.preventDefault();
      this.box.focus();
      this.box.select();
    } else if (event.key === "Escape" && this.panel.isOpen) {
      event.preventDefault();
      this.closePanel();
    } else if (event.key === "Escape" && !this.form.hidden) {
      this.showFilters(false);
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      this.step(event);
    } else if (this.panel.isOpen && !isTyping(event)) {
      this.panel.pressed(event);
    }
  }

  /** From the box to the first hit, from hit to hit, and back. */
  step(event) {
    const links = this.links();
    const at = links.indexOf(document.activeElement);
    const isInBox = document.activeElement === this.box;
    if (!links.length || (at < 0 && !isInBox && document.activeElement !== document.body)) return;
    const to = at + (event.key === "ArrowDown" ? 1 : -1);
    if (isInBox && event.key === "ArrowUp") return;
    event.preventDefault();
    const target = to < 0 ? this.box : links[Math.min(to, links.length - 1)];
    target.focus();
    target.closest(".hit")?.scrollIntoView({ block: "nearest" });
  }
}
