// The view of the maps: every point an account, a document or an app; near means alike.

import { call, isAborted, Problem } from "./api.js";
import { announce, emptyBox, fromTemplate, isTyping, make, problemBox, segments } from "./dom.js";
import { percent, plural, score as written, whole } from "./format.js";
import { Plot } from "./plot.js";
import { addressOf, replaceAddress } from "./route.js";

const NAMES = { accounts: "Accounts", documents: "Documents", apps: "Apps" };
const COLOURS = 12;
const NEIGHBOURS = 8;

export function mount(main, route) {
  return new MapView(main, route);
}

class MapView {
  constructor(main, route) {
    const { root, parts } = fromTemplate("view-map");
    Object.assign(this, { root, parts, query: root.querySelector("#map-query"), matches: [], match: -1 });
    main.replaceChildren(root);
    this.plot = new Plot(parts.canvas, parts.tip, {
      onChoose: (point) => this.choose(point),
      onMove: (sight) => this.keep(sight),
      onSay: announce,
    });
    this.onKey = (event) => {
      if (event.key === "/" && !isTyping(event) && !document.querySelector("dialog[open]")) {
        event.preventDefault();
        this.query.focus();
      }
    };
    document.addEventListener("keydown", this.onKey);
    this.query.addEventListener("input", () => this.find());
    parts.find.addEventListener("submit", (event) => {
      event.preventDefault();
      this.nextMatch();
    });
    for (const button of root.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", () => this.plot.zoomTo(button.dataset.zoom));
    }
    this.update(route);
  }

  leave() {
    this.request?.abort();
    clearTimeout(this.keeping);
    this.plot.stop();
    document.removeEventListener("keydown", this.onKey);
  }

  async update({ rest, query }) {
    this.request?.abort();
    const { signal } = (this.request = new AbortController());
    this.parts.stage.setAttribute("aria-busy", "true");
    try {
      this.maps ??= await listMaps(rest[0], signal);
      this.name = rest[0] ?? this.maps?.find((map) => map.points)?.name ?? this.maps?.[0]?.name;
      this.showChoice();
      if (!this.name) {
        this.say(emptyBox("No map yet", "A map is drawn once something is embedded."));
        return;
      }
      if (this.shown !== this.name) await this.load(signal);
      this.restore(query);
    } catch (error) {
      if (isAborted(error)) return;
      if (!(error instanceof Problem)) throw error;
      this.shown = null;
      this.plot.clear();
      this.parts.groups.hidden = true;
      this.parts.chosen.replaceChildren();
      this.say(problemBox(error, () => this.update({ rest, query })));
    } finally {
      if (!signal.aborted) this.parts.stage.setAttribute("aria-busy", "false");
    }
  }

  say(...content) {
    this.parts.message.replaceChildren(...content);
  }

  showChoice() {
    const { choice } = this.parts;
    choice.hidden = (this.maps?.length ?? 0) < 2;
    choice.replaceChildren(choice.querySelector("legend"), ...segments("map",
      (this.maps ?? []).map((map) => [map.name, NAMES[map.name] ?? map.name]), this.name, (name) => { location.hash = addressOf(["map", name]); }));
  }

  async load(signal) {
    this.say(make("p", { class: "muted" }, "Loading the map …"));
    const map = await call(`maps/${encodeURIComponent(this.name)}`, { signal });
    this.map = map;
    this.shown = this.name;
    this.query.value = "";
    this.find();
    this.say(...(map.x.length ? [] : [emptyBox("Nothing on this map", "It is drawn once something is embedded.")]));
    this.showLegend(map);
    this.plot.show(map, [...this.parts.legend.querySelectorAll(".swatch")]);
    this.parts.canvas.setAttribute("aria-label", `${map.title}: ${plural(map.x.length, "point")}`);
    this.parts.title.textContent = map.title;
    this.parts.groups.hidden = !map.x.length;
    this.parts.explained.textContent = explanation(map);
    announce(`${map.title}: ${plural(map.x.length, "point")}`);
  }

  showLegend({ group, groups }) {
    const counts = groups.map(() => 0);
    for (const each of group) counts[each] += 1;
    this.hiddenGroups = new Set();
    this.parts.legend.replaceChildren(...groups.map((name, at) => {
      const button = make("button", { type: "button", class: "quiet", "aria-pressed": "true",
        on: { click: () => this.toggle(at, button) } },
      make("span", { class: `swatch colour-${at % COLOURS} shape-${Math.floor(at / COLOURS) % 3}`, "aria-hidden": "true" }),
      make("span", { class: "legend-name" }, name || "without group"),
      make("span", { class: "hint" }, whole(counts[at])));
      return make("li", {}, button);
    }));
  }

  toggle(group, button) {
    const isShown = this.hiddenGroups.has(group);
    if (isShown) this.hiddenGroups.delete(group);
    else this.hiddenGroups.add(group);
    button.setAttribute("aria-pressed", String(isShown));
    this.plot.hide(this.hiddenGroups);
  }

  find() {
    const wanted = this.query.value.trim().toLowerCase();
    const { label = [], id = [] } = this.map ?? {};
    this.matches = [];
    this.match = -1;
    if (wanted) {
      for (let at = 0; at < id.length; at += 1) {
        if (`${label[at]} ${id[at]}`.toLowerCase().includes(wanted)) this.matches.push(at);
      }
    }
    this.parts.found.textContent = wanted
      ? this.matches.length ? `${whole(this.matches.length)} found` : "None found" : "";
    this.plot.emphasise(wanted ? this.matches : null);
  }

  nextMatch() {
    if (!this.matches.length) return;
    this.match = (this.match + 1) % this.matches.length;
    this.parts.found.textContent = `${this.match + 1} of ${whole(this.matches.length)}`;
    this.plot.goTo(this.matches[this.match]);
    this.choose(this.matches[this.match]);
  }

  keep(sight) {
    clearTimeout(this.keeping);
    this.sight = sight;
    this.keeping = setTimeout(() => this.write(), 250);
  }

  write() {
    const { x, y, zoom } = this.sight ?? {};
    const isAll = !this.sight || zoom <= 1.001;
    replaceAddress(addressOf(["map", this.name], {
      ...(isAll ? {} : { x: x.toPrecision(5), y: y.toPrecision(5), z: zoom.toPrecision(4) }),
      point: this.chosen }));
  }

  restore(query) {
    const [x, y, zoom] = ["x", "y", "z"].map((name) => Number.parseFloat(query.get(name)));
    if ([x, y, zoom].every(Number.isFinite)) this.plot.look({ x, y, zoom });
    const at = query.has("point") ? this.map.id.indexOf(query.get("point")) : -1;
    this.choose(at < 0 ? null : at, { isWritten: true });
  }

  choose(at, { isWritten = false } = {}) {
    const { chosen } = this.parts;
    this.plot.select(at);
    this.chosen = at === null ? null : this.map.id[at];
    if (!isWritten) this.write();
    if (at === null) {
      chosen.replaceChildren(make("p", { class: "hint chosen-none" }, "Choose a point to see what it is."));
      return;
    }
    const { id, label, group, groups } = this.map;
    chosen.replaceChildren(make("div", { class: "card chosen" }, make("div", { class: "body" },
      make("h2", { class: "break" }, label[at] || id[at]),
      make("p", { class: "hint break" }, [id[at] === label[at] ? null : id[at], groups[group[at]]].filter(Boolean).join(" · ")),
      this.further(id[at]))));
  }

  /** Where one goes from a point of this map. */
  further(id) {
    if (this.name === "apps") return make("p", {}, make("a", { href: addressOf(["apps"], { id }) }, "Similar apps"));
    if (this.name === "documents") {
      const words = this.map.label[this.map.id.indexOf(id)].replace(/^.*?: /, "").replace(/…$/, "");
      return make("p", {}, make("a", { href: addressOf(["search"], { q: words }) }, "Search for this passage"));
    }
    if (this.name !== "accounts") return null;
    const place = make("div", {});
    const ask = async () => {
      try {
        const { results } = await call("accounts/similar", { query: { account_id: id, k: NEIGHBOURS } });
        place.replaceChildren(make("h3", {}, "Similar accounts"), make("ul", { class: "neighbours" },
          results.map((each) => this.neighbour(each))));
      } catch (error) {
        if (isAborted(error)) return;
        if (!(error instanceof Problem)) throw error;
        place.replaceChildren(problemBox(error));
      }
    };
    place.append(make("button", { type: "button", on: { click: ask } }, "Similar accounts"));
    return place;
  }

  neighbour({ account_id: id, score, text }) {
    const at = this.map.id.indexOf(id);
    const go = () => {
      this.plot.goTo(at);
      this.choose(at);
    };
    return make("li", {},
      at < 0 ? make("strong", {}, id) : make("button", { type: "button", class: "link", on: { click: go } }, id),
      make("span", { class: "hint" }, ` ${written(score)}`),
      text ? make("p", { class: "small break clamp" }, text) : null);
  }
}

/** The maps there are; none where only that cannot be told, and the wanted one is known anyway. */
async function listMaps(wanted, signal) {
  try {
    return (await call("maps", { signal })).maps;
  } catch (error) {
    if (!wanted || !(error instanceof Problem) || error.status === 401) throw error;
    return null;
  }
}

/** What the places of points mean. */
function explanation({ x, method, explained }) {
  const points = `${plural(x.length, "point")}; near means alike.`;
  if (method === "tsne") return `${points} Neighbours are kept together (t-SNE); directions and large distances mean nothing.`;
  const share = (explained ?? []).slice(0, 2).reduce((sum, each) => sum + each, 0);
  return share ? `${points} The two directions show ${percent(share, 2)} of all differences.` : points;
}
