// Elements from names and texts. Data reaches the page as text only: nothing here parses markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element. Attributes that are null or false are left out; `on` holds listeners. */
export function make(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

/** The same in SVG. */
export function draw(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), attributes, children);
}

function furnish(element, { on = {}, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener);
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

/** A picture of the icon set, without meaning of its own. */
export function icon(name) {
  return draw("svg", { class: "icon", "aria-hidden": "true" },
    draw("use", { href: `web/icons.svg#${name}` }));
}

/** A copy of what a template in index.html holds, and its parts by their `data-part`. */
export function fromTemplate(id) {
  const root = document.getElementById(id).content.firstElementChild.cloneNode(true);
  const parts = {};
  for (const part of [root, ...root.querySelectorAll("[data-part]")]) {
    if (part.dataset.part) parts[part.dataset.part] = part;
  }
  return { root, parts };
}

/** Lets a screen reader say something. */
export function announce(text) {
  document.getElementById("status").textContent = text;
}

/** A row of radio buttons as one switch. */
export function segments(name, choices, chosen, onChange) {
  return choices.map(([value, label]) =>
    make("label", {},
      make("input", { type: "radio", name, value, checked: value === chosen,
        on: { change: () => onChange(value) } }),
      make("span", {}, label)));
}

/** What went wrong, how to mend it, and a button that tries again. */
export function problemBox(problem, retry = null) {
  const actions = make("div", { class: "row" });
  if (retry) actions.append(make("button", { type: "button", on: { click: retry } }, "Try again"));
  if (problem.status === 401) {
    const ask = () => document.dispatchEvent(new CustomEvent("key-needed"));
    actions.append(make("button", { type: "button", on: { click: ask } }, "Enter a key"));
  }
  return make("div", { class: "problem", role: "alert" }, icon("warning"),
    make("div", {},
      make("h2", {}, problem.message),
      problem.mend ? make("p", {}, problem.mend) : null,
      problem.requestId
        ? make("p", { class: "hint" }, "Request ", make("code", {}, problem.requestId)) : null,
      actions.childElementCount ? actions : null));
}

/** A quiet word where there is nothing to show. */
export function emptyBox(title, text) {
  return make("div", { class: "empty" }, make("h2", {}, title), make("p", {}, text));
}

/** Grey boxes while something is loaded for the first time. */
export function skeleton(count) {
  return Array.from({ length: count }, () => make("div", { class: "skeleton", "aria-hidden": "true" }));
}

/** Whether a key belongs to what the user types into. */
export function isTyping(event) {
  const target = event.target;
  return target instanceof HTMLElement
    && (target.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName));
}
