// Starts the page: one view at a time by the address, the theme, the key and the settings.

import { icon, make } from "./dom.js";
import { readRoute } from "./route.js";
import * as store from "./store.js";

const VIEWS = {
  search: ["Search", () => import("./search.js")],
  apps: ["Similar apps", () => import("./apps.js")],
  experiments: ["Experiments", () => import("./experiments.js")],
  map: ["Map", () => import("./map.js")],
};
const THEMES = ["system", "light", "dark"];

const main = document.getElementById("main");
const settings = document.getElementById("settings");
let shown = { name: null, view: null };

async function show({ again = false } = {}) {
  const route = readRoute();
  const name = route.view in VIEWS ? route.view : "search";
  mark(name);
  if (shown.name === name && shown.view && !again) {
    shown.view.update(route);
    return;
  }
  shown.view?.leave();
  const isFirst = shown.name === null;
  shown = { name, view: null };
  const { mount } = await VIEWS[name][1]();
  if (shown.name !== name || shown.view) return;
  shown.view = mount(main, readRoute());
  if (!isFirst && !main.contains(document.activeElement)) main.focus({ preventScroll: true });
  if (!isFirst) window.scrollTo(0, 0);
}

function mark(name) {
  document.title = `${VIEWS[name][0]} · Embedding Assets`;
  for (const link of document.querySelectorAll("[data-view]")) {
    if (link.dataset.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function wearTheme(theme) {
  const button = document.getElementById("theme-switch");
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  button.replaceChildren(icon(`theme-${theme}`));
  const words = { system: "Colours: as the system", light: "Colours: light", dark: "Colours: dark" };
  button.setAttribute("aria-label", words[theme]);
  button.title = words[theme];
  document.dispatchEvent(new CustomEvent("theme-changed"));
}

function nextTheme() {
  const theme = THEMES[(THEMES.indexOf(store.theme()) + 1) % THEMES.length];
  store.keepTheme(theme);
  wearTheme(theme);
}

function openSettings({ forKey = false } = {}) {
  document.getElementById("key-needed").hidden = !forKey;
  document.getElementById("key-forget").hidden = !store.key();
  document.getElementById("key").value = "";
  document.getElementById("take-part").checked = store.takesPart();
  if (!settings.open) settings.showModal();
  if (forKey) document.getElementById("key").focus();
}

function useKey(value) {
  store.keepKey(value);
  settings.close();
  show({ again: true });
}

document.getElementById("theme-switch").addEventListener("click", nextTheme);
document.getElementById("settings-open").addEventListener("click", () => openSettings());
settings.querySelector("[data-close]").addEventListener("click", () => settings.close());
settings.addEventListener("click", (event) => {
  if (event.target === settings) settings.close();
});
document.getElementById("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const value = document.getElementById("key").value.trim();
  if (value) useKey(value);
});
document.getElementById("key-forget").addEventListener("click", () => useKey(null));
document.getElementById("take-part").addEventListener("change", (event) => {
  store.takePart(event.target.checked);
});
document.addEventListener("key-needed", () => openSettings({ forKey: true }));
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the hash belongs to the views
  main.focus();
});
window.addEventListener("hashchange", () => show());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
  document.dispatchEvent(new CustomEvent("theme-changed")));

wearTheme(store.theme());
main.replaceChildren(make("p", { class: "muted" }, "…"));
show();
