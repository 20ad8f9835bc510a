// The view of similar apps, for one that is known or for one that is new.

import { call, isAborted, Problem, sendClick } from "./api.js";
import { AppChoice } from "./combo.js";
import { announce, emptyBox, fromTemplate, isTyping, make, problemBox, segments, skeleton } from "./dom.js";
import { plural, rate, score, whole } from "./format.js";
import { predictionCard } from "./prediction.js";
import { addressOf } from "./route.js";
import { unit } from "./store.js";

const COUNT = 20;
const VERSIONS = ["v1", "v2"];
const BOTH = "both";
const REST = "others"; // the group of small categories on the map, and none itself
const PLACED = {
  known: "From its own vector.",
  projection: "A new app: placed by its name, category and platform.",
  neighbours: "A new app: placed among apps with the same category and platform.",
};

export function mount(main, route) {
  return new AppsView(main, route);
}

class AppsView {
  constructor(main, route) {
    const { root, parts } = fromTemplate("view-apps");
    Object.assign(this, { root, parts, fields: parts.form.elements });
    this.onKey = (event) => {
      if (event.key === "/" && !isTyping(event) && !document.querySelector("dialog[open]")) {
        event.preventDefault();
        (this.state.source === "new" ? this.fields.name : this.fields.id).focus();
      }
    };
    document.addEventListener("keydown", this.onKey);
    main.replaceChildren(root);
    const choice = new AppChoice(root.querySelector("#app-id"), root.querySelector("#app-options"), {
      onChoose: () => this.submit(),
      onKnown: (groups) => root.querySelector("#app-categories")
        .replaceChildren(...groups.filter((value) => value && value !== REST).map((value) => make("option", { value }))),
    });
    parts.source.addEventListener("change", (event) => this.showSource(event.target.value));
    parts.form.addEventListener("submit", (event) => {
      event.preventDefault();
      choice.close();
      this.submit();
    });
    this.update(route);
    if (!this.subject() && matchMedia("(hover: hover)").matches) this.fields.id.focus();
  }

  leave() {
    this.request?.abort();
    document.removeEventListener("keydown", this.onKey);
  }

  update({ query }) {
    const text = (name) => query.get(name) ?? "";
    this.state = {
      id: text("id"), name: text("name"), category: text("category"), platform: text("platform"),
      version: text("version"), onlyCategory: text("only-category"), onlyPlatform: text("only-platform"),
    };
    this.state.source = !this.state.id && (this.state.name || this.state.category || this.state.platform)
      ? "new" : "known";
    for (const name of ["id", "name", "category", "platform"]) this.fields[name].value = this.state[name];
    this.fields["only-category"].value = this.state.onlyCategory;
    this.fields["only-platform"].value = this.state.onlyPlatform;
    this.showSource(this.state.source);
    this.showVersions();
    this.run();
  }

  showSource(source) {
    this.state.source = source;
    this.root.querySelector(`[name="source"][value="${source}"]`).checked = true;
    this.parts.known.hidden = source !== "known";
    this.parts.new.hidden = source !== "new";
  }

  showVersions() {
    const { version } = this.state;
    const versions = VERSIONS.includes(version) || !version || version === BOTH ? VERSIONS : [...VERSIONS, version];
    const choices = [["", "Auto"], ...versions.map((each) => [each, each]), [BOTH, "Side by side"]];
    const legend = this.parts.version.querySelector("legend");
    this.parts.version.replaceChildren(legend, ...segments("version", choices, version, (value) => {
      this.state.version = value;
      if (this.subject()) this.submit();
    }));
  }

  submit() {
    const value = (name) => this.fields[name].value.trim();
    const isNew = this.state.source === "new";
    const asked = isNew
      ? { name: value("name"), category: value("category"), platform: value("platform") }
      : { id: value("id") };
    if (!Object.values(asked).some(Boolean)) {
      (isNew ? this.fields.name : this.fields.id).focus();
      announce(isNew ? "Say at least one thing about the app." : "Say which app.");
      return;
    }
    const address = addressOf(["apps"], { ...asked, version: this.state.version,
      "only-category": value("only-category"), "only-platform": value("only-platform") });
    if (address === location.hash) this.run();
    else location.hash = address;
  }

  /** The app that is asked for, as the service takes it; null without one. */
  subject() {
    const { source, id, name, category, platform } = this.state;
    if (source === "known") return id ? { app_id: id } : null;
    const app = Object.fromEntries(Object.entries({ name, category, platform }).filter(([, text]) => text));
    return Object.keys(app).length ? { app } : null;
  }

  async run() {
    const { answer, prediction } = this.parts;
    const subject = this.subject();
    this.request?.abort();
    this.request = new AbortController();
    const { signal } = this.request;
    if (!subject) {
      prediction.replaceChildren();
      answer.replaceChildren(emptyBox("Which apps are alike?",
        "Name an app, or describe one that does not exist yet: its nearest apps, why they match, and how it may perform."));
      return;
    }
    if (!answer.childElementCount || answer.querySelector(".empty")) answer.replaceChildren(...skeleton(4));
    const versions = this.state.version === BOTH ? VERSIONS : [this.state.version];
    await Promise.all([
      this.into(answer, signal, async () => {
        const answers = await Promise.all(versions.map((version) => this.find(subject, version, signal)));
        return this.showAnswers(answers);
      }),
      this.into(prediction, signal, async () => {
        const version = this.state.version === BOTH ? "" : this.state.version;
        return predictionCard(await call("predict", { body: { ...subject, ...(version && { version }) }, signal }),
          (id) => this.addressOfApp(id));
      }),
    ]);
  }

  /** Fills a part with what `make` gives, or with what went wrong. */
  async into(area, signal, load) {
    area.setAttribute("aria-busy", "true");
    try {
      const content = await load();
      area.replaceChildren(content);
    } catch (error) {
      if (isAborted(error)) return;
      if (!(error instanceof Problem)) throw error;
      area.replaceChildren(problemBox(error, () => this.run()));
    } finally {
      if (!signal.aborted) area.setAttribute("aria-busy", "false");
    }
  }

  async find(subject, version, signal) {
    const { onlyCategory, onlyPlatform } = this.state;
    const filters = {};
    if (onlyCategory) filters.category = [onlyCategory];
    if (onlyPlatform) filters.platform = [onlyPlatform];
    const body = { ...subject, k: COUNT };
    if (Object.keys(filters).length) body.filters = filters;
    if (version) body.version = version;
    else if (unit()) body.unit = unit();
    return { ...(await call("find-similar", { body, signal })), unit: body.unit ?? null };
  }

  addressOfApp(id) {
    const { version, onlyCategory, onlyPlatform } = this.state;
    return addressOf(["apps"], { id, version, "only-category": onlyCategory, "only-platform": onlyPlatform });
  }

  showAnswers(answers) {
    announce(plural(answers[0].results.length, "similar app"));
    const ids = answers.map((answer) => new Set(answer.results.map((app) => app.app_id)));
    const isShared = (id) => answers.length > 1 && ids.every((each) => each.has(id));
    const shared = answers.length > 1 ? [...ids[0]].filter((id) => ids[1].has(id)).length : 0;
    return make("div", { class: "stack" },
      answers.length > 1
        ? make("p", { class: "answer-line" }, `${plural(shared, "app")} of ${whole(ids[0].size)} in both versions`)
        : null,
      make("div", { class: answers.length > 1 ? "versions" : "" },
        answers.map((answer) => this.answerCard(answer, isShared))));
  }

  answerCard(answer, isShared) {
    const { version, placed_by: placed, experiment, took_ms: took, results } = answer;
    const clicked = new Set();
    const onOpen = (app) => {
      if (!experiment || clicked.has(app.app_id)) return;
      clicked.add(app.app_id);
      sendClick(experiment, answer.unit);
    };
    const head = make("div", { class: "version-head" },
      make("h2", {}, `Similar apps, ${version}`),
      make("p", { class: "hint" }, PLACED[placed] ?? "", ` ${Math.max(1, Math.round(took))} ms`,
        ...(experiment ? [" · ", make("a", { href: addressOf(["experiments", experiment.id]) }, "experiment")] : [])));
    if (!results.length) {
      return make("section", {}, head, emptyBox("No similar app", "No app meets the filters. Remove one."));
    }
    return make("section", {}, head, make("ol", { class: "apps card" },
      results.map((app) => this.appItem(app, { isShared: isShared(app.app_id), onOpen }))));
  }

  appItem(app, { isShared, onOpen }) {
    const facts = [app.name ? app.app_id : null, app.category, app.platform].filter(Boolean).join(" · ");
    return make("li", {},
      make("div", { class: "app-main" },
        make("h3", {}, make("a", { href: this.addressOfApp(app.app_id), on: { click: () => onOpen(app) } },
          app.name || app.app_id), isShared ? make("span", { class: "badge" }, "in both") : null),
        make("p", { class: "hint break" }, facts),
        app.reasons.length
          ? make("ul", { class: "reasons", "aria-label": "Why" }, app.reasons.map((reason) => make("li", {}, reason)))
          : null),
      make("dl", { class: "app-figures" },
        figure("Score", score(app.score), make("meter", { min: 0, max: 1, value: Math.max(0, Math.min(1, app.score)),
          "aria-hidden": "true" })),
        figure("Rate", rate(app.rate),
          app.impressions ? make("span", { class: "hint" }, `${whole(app.impressions)} impr.`) : null)));
  }
}

function figure(name, value, extra) {
  return make("div", {}, make("dt", {}, name), make("dd", {}, value), extra ? make("dd", {}, extra) : null);
}
