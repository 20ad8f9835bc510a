// A text field that proposes apps while one types; any other id may be typed as well.

import { call, isAborted, Problem } from "./api.js";
import { make } from "./dom.js";

const MOST = 12;

/** Proposals for `input` in `list`, from the map of the apps; `onChoose` hears of the chosen id. */
export class AppChoice {
  constructor(input, list, { onChoose, onKnown }) {
    Object.assign(this, { input, list, onChoose, onKnown, apps: null, at: -1 });
    input.addEventListener("focus", () => this.load());
    input.addEventListener("input", () => this.propose());
    input.addEventListener("keydown", (event) => this.pressed(event));
    input.addEventListener("blur", () => this.close());
    list.addEventListener("pointerdown", (event) => {
      event.preventDefault(); // the field keeps the focus
      const option = event.target.closest("[role=option]");
      if (option) this.choose(option.dataset.id);
    });
  }

  /** Loads ids, names and categories once; without a map one types the id whole. */
  async load() {
    if (this.apps) return;
    this.apps = [];
    try {
      const { id, label, group, groups } = await call("maps/apps");
      const only = (at) => (groups[group[at]] ?? "");
      this.apps = id.map((each, at) => ({ id: each, name: label[at] ?? "", group: only(at),
        words: `${each} ${label[at] ?? ""}`.toLowerCase() }));
      this.onKnown(groups);
    } catch (error) {
      if (!(error instanceof Problem) && !isAborted(error)) throw error;
    }
    if (document.activeElement === this.input && this.input.value) this.propose();
  }

  propose() {
    const typed = this.input.value.trim().toLowerCase();
    const found = typed ? ranked(this.apps ?? [], typed) : [];
    this.at = -1;
    this.list.replaceChildren(...found.map((app, at) =>
      make("li", { role: "option", id: `app-option-${at}`, "data-id": app.id, "aria-selected": "false" },
        make("span", { class: "option-name" }, app.name || app.id),
        make("span", { class: "hint" }, [app.id, app.group].filter(Boolean).join(" · ")))));
    this.open(found.length > 0);
  }

  open(yes) {
    this.list.hidden = !yes;
    this.input.setAttribute("aria-expanded", String(yes));
    if (!yes) this.input.removeAttribute("aria-activedescendant");
  }

  close() {
    this.open(false);
  }

  choose(id) {
    this.input.value = id;
    this.close();
    this.onChoose(id);
  }

  pressed(event) {
    const options = [...this.list.children];
    if (event.key === "Escape" && !this.list.hidden) {
      event.preventDefault();
      this.close();
    } else if (event.key === "Enter" && !this.list.hidden && this.at >= 0) {
      event.preventDefault();
      this.choose(options[this.at].dataset.id);
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && options.length) {
      event.preventDefault();
      this.open(true);
      const step = event.key === "ArrowDown" ? 1 : -1;
      this.at = (this.at + step + options.length + (this.at < 0 && step < 0 ? 1 : 0)) % options.length;
      options.forEach((option, at) => option.setAttribute("aria-selected", String(at === this.at)));
      options[this.at].scrollIntoView({ block: "nearest" });
      this.input.setAttribute("aria-activedescendant", options[this.at].id);
    }
  }
}

/** Those that begin with what was typed, then those that hold it. */
function ranked(apps, typed) {
  const begins = [];
  const holds = [];
  for (const app of apps) {
    if (app.id.toLowerCase().startsWith(typed) || app.name.toLowerCase().startsWith(typed)) begins.push(app);
    else if (holds.length < MOST && app.words.includes(typed)) holds.push(app);
    if (begins.length >= MOST) break;
  }
  return [...begins, ...holds].slice(0, MOST);
}
