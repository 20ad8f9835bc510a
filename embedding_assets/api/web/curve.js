// A difference with its interval over the number of units, drawn at the width that there is.

import { draw, make } from "./dom.js";
import { number, plural, signed, whole } from "./format.js";

const HEIGHT = 250;
const EDGE = { left: 64, right: 12, top: 14, bottom: 30 };
const SETTLED = 0.2; // the first part of the curve, whose intervals are too wide to set the scale

/** The figure of one curve, and a function that ends its drawing. */
export function curveFigure(curve, { plan, comparison }) {
  const metric = plan.metrics.find((each) => each.name === curve.metric);
  const control = comparison?.control ?? plan.variants[0].name;
  const isRate = metric?.kind === "rate";
  const write = (value) => (isRate ? `${number(value * 100, 2)} pp` : number(value, 2));
  const readout = make("output", { class: "readout" });
  const stage = make("div", { class: "curve-stage" });
  const title = `${curve.metric}: ${curve.variant} against ${control}`;
  const words = describe(curve.points.at(-1), write);
  const chart = new Chart(stage, { points: curve.points, write, title: `${title}. ${words}`,
    onPoint: (point) => { readout.textContent = describe(point, write); } });
  readout.textContent = words;
  const root = make("figure", { class: "card curve" },
    make("figcaption", {},
      make("h2", {}, title),
      make("p", { class: "hint" }, metric?.guard ? "A guard. " : "",
        `Difference of ${isRate ? "rates, in percentage points" : "means"}, with its always-valid interval.`)),
    stage, readout,
    make("details", {}, make("summary", {}, "As a table"), table(curve.points, write)));
  return { root, stop: () => chart.stop() };
}

function describe(point, write) {
  const isKnown = isBounded(point);
  return `${plural(point.n, "unit")}: ${signed(point.difference, write)}`
    + (isKnown ? ` (${signed(point.low, write)} to ${signed(point.high, write)})` : ", too early for an interval");
}

const isBounded = (point) => Number.isFinite(point.low) && Number.isFinite(point.high);

function table(points, write) {
  const step = Math.max(1, Math.ceil(points.length / 40));
  const shown = points.filter((_, at) => at % step === 0 || at === points.length - 1);
  return make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "The curve as a table" },
    make("table", {},
      make("thead", {}, make("tr", {}, ["Units", "Difference", "Low", "High"].map((name) =>
        make("th", { scope: "col", class: "number" }, name)))),
      make("tbody", {}, shown.map((point) => make("tr", {},
        make("td", { class: "number" }, whole(point.n)),
        [point.difference, point.low, point.high].map((value) =>
          make("td", { class: "number" }, Number.isFinite(value) ? signed(value, write) : "–")))))));
}

let clips = 0;

class Chart {
  constructor(stage, { points, write, title, onPoint }) {
    Object.assign(this, { stage, points, write, title, onPoint, at: points.length - 1, width: 0 });
    this.watcher = new ResizeObserver(([entry]) => {
      const width = Math.round(entry.contentRect.width);
      if (width && width !== this.width) this.paint((this.width = width));
    });
    this.watcher.observe(stage);
  }

  stop() {
    this.watcher.disconnect();
  }

  paint(width) {
    this.x = scale([0, this.points.at(-1).n], [EDGE.left, width - EDGE.right]);
    const range = extent(this.points);
    this.y = scale(range, [HEIGHT - EDGE.bottom, EDGE.top]);
    const clip = `curve-clip-${(clips += 1)}`;
    this.cursor = draw("g", { class: "cursor" });
    const svg = draw("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img",
      "aria-label": `${this.title}. Left and right arrow keys step through it.`, tabindex: "0",
      on: { pointermove: (event) => this.pointed(event), keydown: (event) => this.pressed(event),
        pointerleave: () => this.move(this.points.length - 1) } },
    draw("clipPath", { id: clip }, draw("rect", { x: EDGE.left, y: EDGE.top - 4,
      width: Math.max(0, width - EDGE.left - EDGE.right + 6), height: HEIGHT - EDGE.top - EDGE.bottom + 8 })),
    this.axes(width, range),
    draw("g", { "clip-path": `url(#${clip})` },
      bands(this.points).map((band) => draw("path", { class: "band", d: this.bandPath(band) })),
      draw("line", { class: "zero", x1: EDGE.left, x2: width - EDGE.right, y1: this.y(0), y2: this.y(0) }),
      draw("path", { class: "line", d: pathOf(this.points.map((point) => [this.x(point.n), this.y(point.difference)])) }),
      this.cursor));
    const isFocused = this.stage.contains(document.activeElement);
    this.stage.replaceChildren(svg);
    if (isFocused) svg.focus();
    this.move(this.at);
  }

  axes(width, range) {
    const ys = ticks(range, 5);
    const xs = ticks([0, this.points.at(-1).n], width < 420 ? 3 : 6);
    return draw("g", { class: "axes" },
      ys.map((value) => [
        draw("line", { x1: EDGE.left, x2: width - EDGE.right, y1: this.y(value), y2: this.y(value) }),
        draw("text", { x: EDGE.left - 8, y: this.y(value) + 4, "text-anchor": "end" }, signed(value, this.write))]),
      xs.map((value) => draw("text", { x: this.x(value), y: HEIGHT - 9,
        "text-anchor": value === 0 ? "start" : this.x(value) > width - 50 ? "end" : "middle" },
      value === 0 ? "0 units" : whole(value))));
  }

  bandPath(band) {
    const upper = band.map((point) => [this.x(point.n), this.y(point.high)]);
    const lower = band.map((point) => [this.x(point.n), this.y(point.low)]).reverse();
    return `${pathOf([...upper, ...lower])}Z`;
  }

  move(at) {
    this.at = Math.max(0, Math.min(this.points.length - 1, at));
    const point = this.points[this.at];
    const x = this.x(point.n);
    this.cursor.replaceChildren(
      draw("line", { x1: x, x2: x, y1: EDGE.top, y2: HEIGHT - EDGE.bottom }),
      ...(isBounded(point)
        ? [draw("line", { class: "reach", x1: x, x2: x, y1: this.y(point.high), y2: this.y(point.low) })] : []),
      draw("circle", { cx: x, cy: this.y(point.difference), r: 4 }));
    this.onPoint(point);
  }

  pointed(event) {
    const x = event.clientX - event.currentTarget.getBoundingClientRect().left;
    let best = 0;
    this.points.forEach((point, at) => {
      if (Math.abs(this.x(point.n) - x) < Math.abs(this.x(this.points[best].n) - x)) best = at;
    });
    this.move(best);
  }

  pressed(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (!step) return;
    event.preventDefault();
    this.move(this.at + step);
  }
}

function scale([from, to], [start, end]) {
  const spread = to - from || 1;
  return (value) => start + ((value - from) / spread) * (end - start);
}

function extent(points) {
  const settled = points.filter((point, at) => isBounded(point) && at >= (points.length - 1) * SETTLED);
  const values = settled.length
    ? settled.flatMap((point) => [point.low, point.high])
    : points.map((point) => point.difference);
  const low = Math.min(0, ...values);
  const high = Math.max(0, ...values);
  const edge = (high - low || 1) * 0.06;
  return [low - edge, high + edge];
}

/** The runs of points that have an interval. */
function bands(points) {
  const found = [];
  let isOpen = false;
  for (const point of points) {
    if (!isBounded(point)) isOpen = false;
    else if (isOpen) found.at(-1).push(point);
    else {
      found.push([point]);
      isOpen = true;
    }
  }
  return found;
}

function pathOf(points) {
  return points.map(([x, y], at) => `${at ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
}

/** About `count` round values within a range. */
export function ticks([from, to], count) {
  const rough = (to - from) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const found = [];
  for (let at = Math.ceil(from / step); at * step <= to + step * 1e-9; at += 1) found.push(at * step || 0); // no −0
  return found;
}
