// What an app's performance is predicted to be, with its interval and the segments it falls into.

import { draw, make } from "./dom.js";
import { percent, rate as write } from "./format.js";

const TIERS = { low: "bad", middle: "warn", high: "good" };
const BAR = { width: 320, height: 50, edge: 8 };
const SHOWN_APPS = 5;

/** The prediction as a card. `addressOf` gives an app's link. */
export function predictionCard(prediction, addressOf) {
  const { rate, low, high, level, has_signal: hasSignal, category_rate: typical, segments } = prediction;
  return make("section", { class: "card prediction" },
    make("div", { class: "body stack" },
      make("header", {},
        make("h2", {}, "Predicted performance"),
        make("p", { class: "figure" }, write(rate)),
        make("p", { class: "hint" },
          `Clicks per impression; ${percent(level)} interval ${write(low)} to ${write(high)}.`)),
      intervalBar(prediction),
      hasSignal ? null : make("p", { class: "notice small" },
        `Its neighbours say little about it: this is hardly more than its category's ${write(typical)}.`),
      segments.length ? make("h3", {}, "Segments like it") : null,
      segments.length ? make("ul", { class: "segment-list" },
        segments.map((segment) => segmentItem(segment, addressOf))) : null,
      make("p", { class: "hint" }, `Model ${prediction.model}`)));
}

function intervalBar({ rate, low, high, category_rate: typical }) {
  const last = Math.max(high, typical ?? 0, rate) * 1.15 || 1;
  const at = (value) => BAR.edge + (value / last) * (BAR.width - 2 * BAR.edge);
  const words = `${write(rate)}, between ${write(low)} and ${write(high)}`
    + (typical === null || typical === undefined ? "" : `; its category ${write(typical)}`);
  return make("figure", { class: "interval" },
    draw("svg", { viewBox: `0 0 ${BAR.width} ${BAR.height}`, role: "img", "aria-label": words },
      draw("line", { class: "track", x1: BAR.edge / 2, x2: BAR.width - BAR.edge / 2, y1: 18, y2: 18 }),
      draw("line", { class: "range", x1: at(low), x2: at(high), y1: 18, y2: 18 }),
      typical === null || typical === undefined ? null
        : draw("line", { class: "typical", x1: at(typical), x2: at(typical), y1: 5, y2: 31 }),
      draw("circle", { class: "point", cx: at(rate), cy: 18, r: 6 }),
      draw("text", { x: 0, y: BAR.height - 2 }, "0 %"),
      draw("text", { x: BAR.width, y: BAR.height - 2, "text-anchor": "end" }, percent(last, 2))),
    typical === null || typical === undefined ? null
      : make("figcaption", { class: "hint" }, make("span", { class: "tick", "aria-hidden": "true" }),
        `Its category: ${write(typical)}`));
}

function segmentItem(segment, addressOf) {
  const name = [segment.category, segment.platform].filter(Boolean).join(", ") || "All apps";
  const apps = segment.apps.slice(0, SHOWN_APPS);
  return make("li", {},
    make("div", { class: "row" },
      make("strong", {}, name),
      make("span", { class: `badge ${TIERS[segment.tier] ?? ""}` }, segment.tier)),
    make("p", { class: "hint" },
      `${write(segment.rate)} (${write(segment.low)} to ${write(segment.high)}), weighs ${percent(segment.weight, 2)}`),
    apps.length ? make("p", { class: "small break" },
      apps.map((id, at) => [at ? ", " : "", make("a", { href: addressOf(id) }, id)]),
      segment.apps.length > SHOWN_APPS ? ` and ${segment.apps.length - SHOWN_APPS} more` : null) : null);
}
