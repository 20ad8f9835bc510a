// A document beside the results: the picture of a page with the hit marked, or its text.

import { call, callImage, isAborted, Problem } from "./api.js";
import { announce, icon, make, problemBox } from "./dom.js";
import { pagesText } from "./format.js";
import { marked } from "./highlight.js";
import { readText } from "./reader.js";
import { headingPath, nameOf } from "./results.js";

const ZOOMS = [1, 1.25, 1.5, 2, 3];
const NARROW = "(max-width: 68rem)";
const WIDTHS = { step: 200, least: 400, most: 2000 };

/** A panel in `root`; what lies in `behind` cannot be reached while the panel covers it. */
export class Panel {
  constructor(root, behind, { onPage, onClose }) {
    this.root = root;
    this.behind = behind;
    this.onPage = onPage;
    this.onClose = onClose;
    this.item = null;
    this.zoom = 0;
    this.narrow = matchMedia(NARROW);
    this.onNarrow = () => this.cover();
    this.narrow.addEventListener("change", this.onNarrow);
  }

  get isOpen() {
    return !this.root.hidden;
  }

  /** Shows a hit, or a document without one ({doc_id}). page: null for the hit's first. */
  show(item, page) {
    const isNew = !this.isOpen || this.item?.doc_id !== item.doc_id || this.item?.chunk_id !== item.chunk_id;
    const wanted = page ?? item.pages?.[0] ?? 1;
    if (!isNew && wanted === this.page) return;
    this.item = item;
    this.page = wanted;
    if (isNew) this.build();
    if (this.hasPages && !this.isText) this.loadPage();
    else this.showText();
  }

  close() {
    this.request?.abort();
    this.forget();
    this.item = null;
    this.root.hidden = true;
    this.root.replaceChildren();
    this.cover();
  }

  /** Closes for good. */
  dispose() {
    this.close();
    this.narrow.removeEventListener("change", this.onNarrow);
  }

  /** Whether there may be pictures of pages: a hit says so; of a document it is tried. */
  get hasPages() {
    return this.item.chunk_id ? Boolean(this.item.image) : this.isPictured;
  }

  build() {
    const { item } = this;
    this.isText = false;
    this.isPictured = true;
    this.last = null;
    this.sizes = new Map();
    this.zoom = 0;
    this.parts = {
      title: make("h2", { id: "panel-title", tabindex: "-1" }, item.path ? nameOf(item) : item.doc_id),
      page: make("output", { class: "page-number" }),
      zoom: make("output", { class: "zoom-number" }),
      stage: make("div", { class: "page-stage", tabindex: "0", role: "group", "aria-label": "Page" }),
      tools: make("div", { class: "panel-tools" }),
    };
    const { title, stage, tools } = this.parts;
    this.root.replaceChildren(
      make("header", { class: "panel-head" },
        make("div", {}, title, make("p", { class: "hint break" }, placeOf(item))),
        make("button", { type: "button", class: "quiet square", "aria-label": "Close", title: "Close (Esc)",
          on: { click: () => this.onClose() } }, icon("close"))),
      tools, stage,
      ...(item.text ? [passage(item)] : []));
    this.buildTools();
    this.root.hidden = false;
    this.cover();
    this.learn(item);
    const mark = this.root.querySelector(".passage mark");
    if (mark) mark.closest(".passage").scrollTop = mark.offsetTop - 60;
    title.focus({ preventScroll: true });
  }

  buildTools() {
    const tool = (name, label, action) => make("button", { type: "button", class: "quiet square",
      "aria-label": label, title: label, on: { click: action } }, icon(name));
    const { page, zoom, tools } = this.parts;
    this.previous = tool("previous", "Previous page", () => this.turn(-1));
    this.next = tool("next", "Next page", () => this.turn(1));
    this.textButton = make("button", { type: "button", class: "quiet", "aria-pressed": "false",
      on: { click: () => this.toggleText() } }, "Text");
    this.pageTools = make("div", { class: "row" }, this.previous, page, this.next,
      make("span", { class: "gap" }),
      tool("minus", "Smaller", () => this.magnify(-1)), zoom,
      tool("plus", "Larger", () => this.magnify(1)));
    tools.replaceChildren(this.pageTools, this.textButton);
    tools.hidden = !this.hasPages;
  }

  /** How many pages the document has and how large they are; without an answer one goes without. */
  async learn(item) {
    try {
      const about = await call("documents/read", { query: { doc_id: item.doc_id, limit: 1 } });
      if (this.item !== item) return;
      if (!item.path) this.parts.title.textContent = nameOf(about);
      this.sizes = new Map(about.pages.map((page) => [page.number, page]));
      this.last = about.pages.at(-1)?.number ?? null;
      this.showPage();
    } catch (error) {
      if (!(error instanceof Problem) && !isAborted(error)) throw error;
    }
  }

  showPage() {
    this.parts.page.textContent = this.last ? `Page ${this.page} of ${this.last}` : `Page ${this.page}`;
    this.previous.disabled = this.page <= 1;
    this.next.disabled = this.page === this.last;
  }

  /** On a narrow screen the panel covers everything, so nothing behind it may be focused. */
  cover() {
    const isCovering = this.isOpen && this.narrow.matches;
    this.behind.inert = isCovering;
    document.querySelector(".top").inert = isCovering;
    document.documentElement.classList.toggle("is-covered", isCovering);
    if (isCovering) this.root.setAttribute("aria-modal", "true");
    else this.root.removeAttribute("aria-modal");
    if (isCovering) this.root.setAttribute("role", "dialog");
    else this.root.removeAttribute("role");
  }

  turn(step) {
    const page = this.page + step;
    if (page >= 1 && (this.last === null || page <= this.last)) this.onPage(page);
  }

  magnify(step) {
    this.zoom = Math.max(0, Math.min(ZOOMS.length - 1, this.zoom + step));
    this.showZoom();
    this.loadPage({ isSame: true });
  }

  pressed(event) {
    if (!this.hasPages || this.isText) return;
    const actions = {
      ArrowLeft: () => this.turn(-1), ArrowRight: () => this.turn(1),
      "+": () => this.magnify(1), "=": () => this.magnify(1), "-": () => this.magnify(-1),
      0: () => this.magnify(-ZOOMS.length),
    };
    if (!(event.key in actions)) return;
    if (event.key.startsWith("Arrow") && this.zoom && this.parts.stage === document.activeElement) return;
    event.preventDefault();
    actions[event.key]();
  }

  showZoom() {
    this.parts.zoom.textContent = `${Math.round(ZOOMS[this.zoom] * 100)} %`;
    if (this.image) this.image.style.width = `${ZOOMS[this.zoom] * 100}%`;
  }

  async loadPage({ isSame = false } = {}) {
    const { stage } = this.parts;
    const { doc_id, chunk_id } = this.item;
    this.request?.abort();
    const request = (this.request = new AbortController());
    this.showPage();
    this.showZoom();
    stage.setAttribute("aria-busy", "true");
    const query = { doc_id, page: this.page, chunk_id, width: this.widthInPixels() };
    try {
      const address = await callImage("documents/image", { query, signal: request.signal });
      await this.showImage(address, { isSame, signal: request.signal });
    } catch (error) {
      if (!isAborted(error)) this.failed(error);
    } finally {
      if (request === this.request) stage.setAttribute("aria-busy", "false");
    }
  }

  widthInPixels() {
    const wanted = this.parts.stage.clientWidth * ZOOMS[this.zoom] * devicePixelRatio;
    const stepped = Math.ceil(wanted / WIDTHS.step) * WIDTHS.step;
    return Math.max(WIDTHS.least, Math.min(WIDTHS.most, stepped));
  }

  async showImage(address, { isSame, signal }) {
    const { stage } = this.parts;
    const isMarked = this.item.chunk_id && this.item.pages?.includes(this.page);
    const words = `Page ${this.page} of ${nameOf(this.item)}${isMarked ? ", the passage marked" : ""}`;
    const image = make("img", { alt: words, src: address, class: "page-image", decoding: "async" });
    await image.decode().catch(() => null);
    if (signal.aborted) {
      URL.revokeObjectURL(address);
      return;
    }
    this.forget();
    this.image = image;
    this.imageAddress = address;
    stage.replaceChildren(image);
    this.showZoom();
    if (!isSame) this.scrollToHit();
    announce(words);
  }

  scrollToHit() {
    const { stage } = this.parts;
    const tops = (this.item.boxes ?? []).filter((box) => box.page === this.page).map((box) => box.top);
    const height = this.sizes.get(this.page)?.height ?? this.image.naturalHeight;
    const top = tops.length ? (Math.min(...tops) / height) * this.image.offsetHeight : 0;
    stage.scrollTop = Math.max(0, top - stage.clientHeight / 4);
  }

  failed(error) {
    if (!(error instanceof Problem)) throw error;
    const { stage } = this.parts;
    if (error.status === 404 && this.image && this.page > 1) {
      this.last = this.page - 1;
      this.onPage(this.last);
      announce("That was the last page.");
      return;
    }
    if (!this.item.chunk_id && error.status !== 401 && error.status) {
      this.isPictured = false;
      this.parts.tools.hidden = true;
      this.showText();
      return;
    }
    this.forget();
    stage.replaceChildren(problemBox(error, () => this.loadPage()));
  }

  forget() {
    if (this.imageAddress) URL.revokeObjectURL(this.imageAddress);
    this.imageAddress = this.image = null;
  }

  toggleText() {
    this.isText = !this.isText;
    this.textButton.setAttribute("aria-pressed", String(this.isText));
    this.pageTools.classList.toggle("is-off", this.isText);
    if (this.isText) this.showText();
    else this.loadPage();
  }

  /** The document's own words, at the page or the passage that is open. */
  async showText() {
    const { stage } = this.parts;
    this.request?.abort();
    const request = (this.request = new AbortController());
    stage.setAttribute("aria-busy", "true");
    try {
      const { text, wanted } = await readText(this.item.doc_id, this.page, request.signal);
      if (request.signal.aborted) return;
      this.forget();
      stage.replaceChildren(text);
      wanted?.scrollIntoView({ block: "start" });
    } catch (error) {
      if (isAborted(error)) return;
      if (!(error instanceof Problem)) throw error;
      stage.replaceChildren(problemBox(error, () => this.showText()));
    } finally {
      if (request === this.request) stage.setAttribute("aria-busy", "false");
    }
  }
}

function placeOf(item) {
  return [item.path, pagesText(item.pages)].filter(Boolean).join(" · ");
}

function passage(item) {
  const isFixed = item.kind === "table" || item.kind === "code";
  return make("section", { class: "passage", "aria-label": "The passage" },
    make("p", { class: "hint" }, headingPath(item)),
    make("p", { class: isFixed ? "fixed" : "" }, ...marked(item.text, item.highlights ?? [])));
}
