// The view of experiments: all of them, or one with its numbers, curves and decision.

import { call, isAborted, Problem } from "./api.js";
import { announce, emptyBox, fromTemplate, make, problemBox, skeleton } from "./dom.js";
import { experimentPage } from "./experiment.js";
import { moment } from "./format.js";
import { addressOf } from "./route.js";

export const STATES = {
  draft: ["not started", ""], running: ["running", "accent"],
  stopped: ["stopped", "warn"], decided: ["decided", "good"],
};
const PLACES = { "find-similar": "similar apps", search: "search", none: "measured elsewhere" };

export function mount(main, route) {
  return new ExperimentsView(main, route);
}

/** The badge of a state. */
export function stateBadge(state) {
  const [words, tone] = STATES[state] ?? [state, ""];
  return make("span", { class: `badge ${tone}` }, words);
}

class ExperimentsView {
  constructor(main, route) {
    const { root } = fromTemplate("view-experiments");
    this.root = root;
    main.replaceChildren(root);
    this.update(route);
  }

  leave() {
    this.request?.abort();
    this.stopDrawing?.();
  }

  async update({ rest }) {
    const [id] = rest;
    const isOther = this.id !== id;
    this.id = id;
    this.request?.abort();
    const { signal } = (this.request = new AbortController());
    if (isOther || !this.root.childElementCount) this.root.replaceChildren(...skeleton(3));
    this.root.setAttribute("aria-busy", "true");
    try {
      if (id) this.showOne(await call(`experiments/${encodeURIComponent(id)}`, { signal }));
      else this.showAll((await call("experiments", { signal })).experiments);
    } catch (error) {
      if (isAborted(error)) return;
      if (!(error instanceof Problem)) throw error;
      const back = id ? [make("p", {}, make("a", { href: "#/experiments" }, "All experiments"))] : [];
      this.root.replaceChildren(...back, problemBox(error, () => this.update({ rest })));
    } finally {
      if (!signal.aborted) this.root.setAttribute("aria-busy", "false");
    }
  }

  showAll(experiments) {
    const list = experiments.length
      ? make("ul", { class: "experiments" }, experiments.map(summaryItem))
      : emptyBox("No experiment yet",
        "Create one by POST /experiments: two versions of a model, or two ways to search.");
    this.root.replaceChildren(make("h1", {}, "Experiments"), list);
  }

  showOne(experiment) {
    this.stopDrawing?.();
    const { root, stop } = experimentPage(experiment, (action, body) => this.act(action, body));
    this.stopDrawing = stop;
    this.root.replaceChildren(root);
  }

  /** Starts, stops or decides; the answer is the experiment as it is then. */
  async act(action, body) {
    const place = this.root.querySelector("[data-part=action-problem]");
    const buttons = [...this.root.querySelectorAll(".actions button")];
    buttons.forEach((button) => { button.disabled = true; });
    place.replaceChildren();
    try {
      await call(`experiments/${encodeURIComponent(this.id)}/${action}`, { method: "POST", body });
      await this.update({ rest: [this.id] });
      announce("Done.");
      this.root.querySelector("h1")?.focus();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      buttons.forEach((button) => { button.disabled = false; });
      place.replaceChildren(problemBox(error));
    }
  }
}

function summaryItem(summary) {
  const { plan } = summary;
  const variants = plan.variants.map((each) => each.name).join(" against ");
  const facts = [PLACES[plan.endpoint] ?? plan.endpoint, variants,
    summary.started ? `since ${moment(summary.started)}` : null].filter(Boolean).join(" · ");
  return make("li", { class: "card" },
    make("div", { class: "body" },
      make("div", { class: "row" },
        make("h2", {}, make("a", { href: addressOf(["experiments", plan.id]) }, plan.id)),
        stateBadge(summary.state)),
      plan.hypothesis ? make("p", {}, plan.hypothesis) : null,
      make("p", { class: "hint" }, facts)));
}
