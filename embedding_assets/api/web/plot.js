// Points on a canvas that one moves by mouse, touch and keyboard.

import { Gestures } from "./gestures.js";
import { groupPlaces, LabelBoard } from "./labels.js";
import { PointGrid } from "./points.js";
import { Raster } from "./raster.js";

const MOST_ZOOM = 500;
const EDGE = 36; // pixels around the points when everything is shown
const REACH = 14; // pixels from the pointer to a point that it means
const NAMED = 400; // so many points in sight may have their names written

export class Plot {
  constructor(canvas, tip, { onChoose, onMove, onSay }) {
    Object.assign(this, { canvas, tip, onChoose, onMove, onSay });
    this.context = canvas.getContext("2d");
    this.grid = null;
    this.sight = { x: 0, y: 0, zoom: 1 };
    this.at = this.chosen = null; // the point under the pointer, and the one that was opened
    this.hidden = new Set();
    this.emphasised = null;
    this.gestures = new Gestures(canvas, {
      onPan: (dx, dy) => this.pan(dx, dy),
      onZoom: (factor, x, y) => this.zoom(factor, x, y),
      onPoint: (x, y) => this.point(x === null ? null : this.nearest(x, y, REACH)),
      onPress: (x, y, reach) => this.press(this.nearest(x, y, REACH * reach)),
      onKey: (event) => this.pressed(event),
    });
    this.onFocus = () => canvas.matches(":focus-visible") && this.point(this.at ?? this.central());
    canvas.addEventListener("focus", this.onFocus);
    this.onTheme = () => this.recolour();
    document.addEventListener("theme-changed", this.onTheme);
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(canvas);
  }

  stop() {
    this.watcher.disconnect();
    document.removeEventListener("theme-changed", this.onTheme);
    cancelAnimationFrame(this.frame);
  }

  /** Shows a map from its beginning. swatches: one element per group, whose colour is the group's. */
  show(map, swatches) {
    this.map = map;
    this.swatches = swatches;
    this.grid = new PointGrid(map.x, map.y);
    this.places = groupPlaces(map);
    this.sight = { ...this.grid.middle, zoom: 1 };
    this.at = this.chosen = null;
    this.hidden = new Set();
    this.emphasised = null;
    this.recolour();
  }

  clear() {
    this.grid = null;
    this.point(null);
    this.redraw();
  }

  look(sight) {
    this.sight = { ...sight, zoom: Math.max(1, Math.min(MOST_ZOOM, sight.zoom)) };
    this.redraw();
  }

  hide(groups) {
    this.hidden = groups;
    this.point(null);
    this.redraw();
  }

  emphasise(points) {
    this.emphasised = points && new Set(points);
    this.redraw();
  }

  select(at) {
    this.chosen = at;
    this.redraw();
  }

  /** Brings a point to the middle, near enough to tell it from others. */
  goTo(at) {
    const zoom = Math.max(this.sight.zoom, Math.min(MOST_ZOOM, 6));
    this.move({ x: this.grid.x[at], y: this.grid.y[at], zoom });
    this.point(at);
  }

  zoomTo(how) {
    if (how === "fit") this.move({ ...this.grid?.middle, zoom: 1 });
    else this.zoom(how === "in" ? 1.6 : 1 / 1.6, this.width / 2, this.height / 2);
  }

  pan(dx, dy) {
    const scale = this.scale();
    this.move({ ...this.sight, x: this.sight.x - dx / scale, y: this.sight.y + dy / scale });
  }

  zoom(factor, x, y) {
    const zoom = Math.max(1, Math.min(MOST_ZOOM, this.sight.zoom * factor));
    const before = this.scale();
    const after = before * (zoom / this.sight.zoom);
    const [right, up] = [x - this.width / 2, this.height / 2 - y];
    this.move({ zoom,
      x: this.sight.x + right / before - right / after,
      y: this.sight.y + up / before - up / after });
  }

  move(sight) {
    if (!this.grid) return;
    const { left, right, bottom, top } = this.grid;
    this.sight = { zoom: sight.zoom,
      x: Math.max(left, Math.min(right, sight.x)), y: Math.max(bottom, Math.min(top, sight.y)) };
    this.redraw();
    this.onMove(this.sight);
  }

  /** Pixels per unit of the map. */
  scale() {
    const { left, right, bottom, top } = this.grid;
    const fit = Math.min((this.width - 2 * EDGE) / (right - left || 1), (this.height - 2 * EDGE) / (top - bottom || 1));
    return Math.max(1e-9, fit) * this.sight.zoom;
  }

  screen(at) {
    const scale = this.scale();
    return [(this.grid.x[at] - this.sight.x) * scale + this.width / 2,
      (this.sight.y - this.grid.y[at]) * scale + this.height / 2];
  }

  nearest(x, y, reach) {
    if (!this.grid) return null;
    const scale = this.scale();
    return this.grid.nearest((x - this.width / 2) / scale + this.sight.x,
      this.sight.y - (y - this.height / 2) / scale, reach / scale, (at) => this.isShown(at));
  }

  isShown(at) {
    return !this.hidden.has(this.map.group[at]);
  }

  central() {
    return this.nearest(this.width / 2, this.height / 2, Math.max(this.width, this.height));
  }

  point(at) {
    if (at === this.at) return;
    this.at = at;
    this.redraw();
  }

  press(at) {
    this.point(at);
    this.onChoose(at);
  }

  pressed(event) {
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const zooms = { "+": "in", "=": "in", "-": "out", 0: "fit" };
    if (!this.grid) return false;
    if (event.key in zooms) this.zoomTo(zooms[event.key]);
    else if (event.key === "Enter" && this.at !== null) this.press(this.at);
    else if (event.key === "Escape" && this.chosen !== null) this.press(null);
    else if (event.key in arrows && event.shiftKey) this.step(arrows[event.key]);
    else if (event.key in arrows) {
      const [right, up] = arrows[event.key];
      this.pan(-right * 70, up * 70);
      this.point(this.central());
      this.say();
    } else return false;
    return true;
  }

  /** To the next point in a direction. */
  step(direction) {
    const from = this.at ?? this.central();
    const to = from === null ? null : this.grid.next(from, direction, (at) => this.isShown(at));
    if (to === null) return;
    const [x, y] = [this.grid.x[to], this.grid.y[to]];
    this.point(to);
    const [px, py] = this.screen(to);
    if (px < EDGE || py < EDGE || px > this.width - EDGE || py > this.height - EDGE) this.move({ ...this.sight, x, y });
    this.say();
  }

  say() {
    if (this.at !== null) this.onSay(this.nameOf(this.at));
  }

  nameOf(at) {
    const { label, id, group, groups } = this.map;
    return [label[at] || id[at], groups[group[at]]].filter(Boolean).join(" · ");
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const ratio = devicePixelRatio || 1;
    Object.assign(this, { width, height, ratio });
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.redraw();
  }

  recolour() {
    if (!this.map) return;
    const style = getComputedStyle(this.canvas);
    this.ink = style.color;
    this.raster = new Raster(this.context, style.backgroundColor,
      this.swatches.map((swatch) => getComputedStyle(swatch).color));
    this.board = new LabelBoard(this.context, { paper: style.backgroundColor, ink: this.ink, font: style.fontFamily });
    this.redraw();
  }

  redraw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.paint();
    });
  }

  paint() {
    const { context, ratio = 1 } = this;
    if (!this.width) return;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    if (this.grid) this.paintPoints();
    this.showTip();
  }

  paintPoints() {
    const { grid, sight, ratio, raster } = this;
    const scale = this.scale();
    const radius = this.radius();
    const [right, down] = [this.width / 2 - sight.x * scale, this.height / 2 + sight.y * scale];
    const half = radius + 1;
    const seen = [];
    raster.begin(this.canvas.width, this.canvas.height, radius * ratio);
    for (let at = 0; at < grid.x.length; at += 1) {
      const x = grid.x[at] * scale + right;
      const y = down - grid.y[at] * scale;
      if (x < -half || y < -half || x > this.width + half || y > this.height + half || !this.isShown(at)) continue;
      const isFaint = this.emphasised !== null && !this.emphasised.has(at);
      raster.point(x * ratio, y * ratio, this.map.group[at], isFaint);
      if (!isFaint) seen.push(at);
    }
    raster.end();
    for (const at of new Set([this.chosen, this.at])) if (at !== null) this.paintRing(at, radius);
    this.paintLabels(seen, radius);
  }

  paintRing(at, radius) {
    const [x, y] = this.screen(at);
    this.context.beginPath();
    this.context.arc(x, y, radius + 4, 0, 2 * Math.PI);
    this.context.lineWidth = at === this.chosen ? 3 : 2;
    this.context.strokeStyle = this.ink;
    this.context.stroke();
  }

  paintLabels(seen, radius) {
    this.board.clear(this.width, this.height);
    if (this.chosen !== null) this.board.write(this.map.label[this.chosen] || this.map.id[this.chosen], ...this.screen(this.chosen), { gap: radius + 7, isStrong: true });
    const scale = this.scale();
    for (const { group, x, y } of this.places) {
      if (this.hidden.has(group) || this.sight.zoom > 12) continue;
      this.board.write(this.map.groups[group], (x - this.sight.x) * scale + this.width / 2,
        (this.sight.y - y) * scale + this.height / 2, { isStrong: true, isCentred: true });
    }
    if (seen.length > NAMED && !(this.emphasised && seen.length < 4 * NAMED)) return;
    for (const at of seen) {
      if (this.board.isFull) break;
      if (at !== this.chosen) this.board.write(this.map.label[at] || this.map.id[at], ...this.screen(at), { gap: radius + 3 });
    }
  }

  radius() {
    const count = this.grid.x.length;
    const least = (count > 5000 ? 2 : count > 800 ? 2.8 : 4) * (this.width < 500 ? 0.75 : 1);
    return Math.round(Math.min(7, least + Math.log2(this.sight.zoom) * 0.7) * 2) / 2;
  }

  showTip() {
    const { tip, at } = this;
    const isShown = at !== null && this.grid !== null;
    tip.hidden = !isShown;
    if (!isShown) return;
    const [x, y] = this.screen(at);
    const words = this.nameOf(at);
    if (tip.textContent !== words) tip.textContent = words;
    const left = Math.max(4, Math.min(this.width - tip.offsetWidth - 4, x - tip.offsetWidth / 2));
    const top = y - tip.offsetHeight - 14 < 4 ? y + 14 : y - tip.offsetHeight - 14;
    tip.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
  }
}
