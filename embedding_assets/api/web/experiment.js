// One experiment: what was decided and why, its variants, curves, guards and plan.

import { curveFigure } from "./curve.js";
import { icon, make } from "./dom.js";
import { stateBadge } from "./experiments.js";
import { moment, number, percent, plural, rate, signed, whole } from "./format.js";

const ALLOWED = { draft: ["start"], running: ["stop", "decide"], stopped: ["decide"], decided: [] };
const VERDICTS = {
  winner: ["done", "good"], no_difference: ["done", "accent"], keep_going: ["wait", "warn"],
  invalid: ["warning", "bad"], by_hand: ["done", "accent"],
};

/** The page of an experiment, and a function that ends what it draws. `act` posts an action. */
export function experimentPage(experiment, act) {
  const { plan, judgement } = experiment;
  const charts = (experiment.curves ?? []).filter((curve) => curve.points.length)
    .map((curve) => curveFigure(curve, { plan, comparison: comparisonOf(judgement, curve) }));
  const root = make("article", { class: "experiment stack" },
    make("p", {}, make("a", { class: "back", href: "#/experiments" }, icon("previous"), "All experiments")),
    make("header", { class: "experiment-head" },
      make("div", {},
        make("div", { class: "row" }, make("h1", { tabindex: "-1" }, plan.id), stateBadge(experiment.state)),
        plan.hypothesis ? make("p", { class: "hypothesis" }, plan.hypothesis) : null),
      actions(experiment, act)),
    make("div", { "data-part": "action-problem" }),
    verdict(experiment),
    charts.length ? make("div", { class: "curves" }, charts.map((chart) => chart.root)) : null,
    variantsTable(experiment),
    guardsTable(experiment),
    make("div", { class: "experiment-foot" }, ratioCard(judgement?.sample_ratio), planCard(experiment)));
  return { root, stop: () => charts.forEach((chart) => chart.stop()) };
}

function comparisonOf(judgement, { metric, variant }) {
  return judgement?.comparisons.find((each) => each.metric === metric && each.variant === variant);
}

function actions({ state, plan, judgement }, act) {
  const allowed = ALLOWED[state] ?? [];
  const isJudged = ["winner", "no_difference"].includes(judgement?.decision);
  const button = (action, words, isPrimary) => allowed.includes(action)
    ? make("button", { type: "button", class: isPrimary ? "primary" : "",
      on: { click: () => act(action, null) } }, words) : null;
  return make("div", { class: "row actions" },
    button("start", "Start", true),
    button("stop", "Stop", false),
    isJudged ? button("decide", judgement.winner ? `Decide for ${judgement.winner}` : `Decide for ${plan.variants[0].name}`, true)
      : null);
}

/** The decision in words. */
function verdict({ state, plan, judgement, decision }) {
  const said = decision ? { ...decision, decision: decision.outcome, winner: decision.chosen } : judgement;
  if (state === "draft" || !said) {
    return make("p", { class: "notice" }, "Not started yet: nobody has seen a variant.");
  }
  const [picture, tone] = VERDICTS[said.decision] ?? ["wait", ""];
  const made = decision ? [`By ${decision.by}`, moment(decision.at)].filter(Boolean).join(", ") : "";
  return make("section", { class: `verdict ${tone}`, "aria-label": "Decision" },
    icon(picture),
    make("div", {},
      make("h2", {}, headline(said, plan)),
      make("ul", {}, (said.reasons ?? []).map((reason) => make("li", {}, reason))),
      made ? make("p", { class: "hint" }, made) : null));
}

function headline({ decision, winner }, plan) {
  switch (decision) {
    case "winner": return winner === plan.variants[0].name ? `${winner} stays` : `${winner} wins`;
    case "no_difference": return "No difference that matters";
    case "invalid": return "The numbers cannot be trusted";
    case "by_hand": return `${winner} was chosen by hand`;
    default: return "Keep going";
  }
}


function variantsTable({ plan, exposures, waiting, judgement }) {
  const metrics = plan.metrics.filter((metric) => !metric.guard);
  const weights = plan.variants.reduce((sum, each) => sum + each.weight, 0);
  const primary = metrics[0];
  const rows = plan.variants.map((variant, at) => {
    const found = metrics.map((metric) => comparisonOf(judgement, { metric: metric.name, variant: variant.name }));
    const first = metrics.map((metric) => judgement?.comparisons.find((each) => each.metric === metric.name));
    const value = (metric, index) => at === 0 ? first[index]?.control_mean : found[index]?.mean;
    return make("tr", {},
      make("th", { scope: "row" }, make("span", { class: "variant-name" }, variant.name),
        at === 0 && variant.name !== "control" ? make("span", { class: "badge" }, "control") : null,
        variant.setting && variant.setting !== variant.name ? make("span", { class: "hint" }, variant.setting) : null),
      make("td", { class: "number" }, whole(exposures?.[variant.name] ?? 0)),
      make("td", { class: "number" }, percent(variant.weight / weights)),
      metrics.map((metric, index) => make("td", { class: "number" },
        metric.kind === "rate" ? rate(value(metric, index)) : number(value(metric, index)))),
      make("td", { class: "number" }, at === 0 ? "–" : liftOf(found[0])));
  });
  return make("section", { class: "card" },
    tableHead("Variants", waiting
      ? `${plural(waiting, "unit")} still within their time for outcomes are not judged yet.` : ""),
    make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Variants" },
      make("table", {},
        make("thead", {}, make("tr", {},
          make("th", { scope: "col" }, "Variant"),
          make("th", { scope: "col", class: "number" }, "Units"),
          make("th", { scope: "col", class: "number" }, "Planned"),
          metrics.map((metric) => make("th", { scope: "col", class: "number" }, metric.name)),
          make("th", { scope: "col", class: "number" }, `Change of ${primary.name}`))),
        make("tbody", {}, rows))));
}

function tableHead(name, hint) {
  return make("header", { class: "table-head" }, make("h2", {}, name),
    hint ? make("p", { class: "hint" }, hint) : null);
}

/** The relative change with its interval, or the absolute one where there is none. */
function liftOf(found) {
  if (!found) return "–";
  const write = (value) => percent(value, 2);
  if (found.lift !== null && found.lift !== undefined) {
    return [signed(found.lift, write), interval(found.lift_low, found.lift_high, write)];
  }
  const plain = found.kind === "rate" ? points : number;
  return [signed(found.difference, plain), interval(found.low, found.high, plain)];
}

function interval(low, high, write) {
  const isKnown = ![low, high].some((value) => value === null || value === undefined);
  return make("span", { class: "hint interval-text" },
    isKnown ? `${signed(low, write)} to ${signed(high, write)}` : "too early for an interval");
}

/** A difference of shares. */
function points(value) {
  return `${number(value * 100, 2)} points`;
}

function guardsTable({ plan, judgement }) {
  const guards = plan.metrics.filter((metric) => metric.guard);
  if (!guards.length) return null;
  const rows = guards.flatMap((guard) => plan.variants.slice(1).map((variant) => {
    const found = comparisonOf(judgement, { metric: guard.name, variant: variant.name });
    return make("tr", {},
      make("th", { scope: "row" }, guard.name),
      make("td", {}, variant.name),
      make("td", { class: "number" }, liftOf(found)),
      make("td", { class: "number" }, guard.margin ? percent(guard.margin) : "none"),
      make("td", {}, guardBadge(found)));
  }));
  return make("section", { class: "card" },
    tableHead("Guards", "What must not get worse."),
    make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Guards" },
      make("table", {},
        make("thead", {}, make("tr", {},
          make("th", { scope: "col" }, "Guard"), make("th", { scope: "col" }, "Variant"),
          make("th", { scope: "col", class: "number" }, "Change"),
          make("th", { scope: "col", class: "number" }, "Tolerated loss"),
          make("th", { scope: "col" }, "State"))),
        make("tbody", {}, rows))));
}

function guardBadge(found) {
  if (!found) return make("span", { class: "badge" }, "nothing yet");
  return found.is_breached
    ? make("span", { class: "badge bad" }, icon("warning"), "worse than tolerated")
    : make("span", { class: "badge good" }, icon("done"), "holds");
}

function ratioCard(ratio) {
  if (!ratio) return null;
  const total = Object.values(ratio.counts).reduce((sum, each) => sum + each, 0);
  const lines = Object.entries(ratio.planned).map(([name, planned]) =>
    make("li", {}, make("strong", {}, name), ` ${rate(total ? ratio.counts[name] / total : 0)}, planned ${percent(planned)}`));
  return make("section", { class: "card" }, make("div", { class: "body stack" },
    make("div", { class: "row" }, make("h2", {}, "Split"),
      ratio.is_sound ? make("span", { class: "badge good" }, icon("done"), "as planned")
        : make("span", { class: "badge bad" }, icon("warning"), "not as planned")),
    make("ul", {}, lines),
    make("p", { class: "hint" }, `Always-valid p = ${number(ratio.p_value, 2)}; alarm at ${number(ratio.alpha, 2)}.`)));
}

function planCard({ plan, created, started }) {
  const rows = [
    ["Chance of a false winner", `at most ${percent(plan.alpha)}`],
    ["Units per variant", `at least ${whole(plan.minimum_units)}`],
    plan.minimum_days ? ["Days at least", number(plan.minimum_days)] : null,
    plan.maximum_days ? ["Days at most", number(plan.maximum_days)] : null,
    ["Outcomes count for", duration(plan.attribution_seconds)],
    plan.indifference ? ["Does not matter below", percent(plan.indifference)] : null,
    plan.layer ? ["Layer", plan.layer] : null,
    created ? ["Created", moment(created)] : null,
    started ? ["Started", moment(started)] : null,
  ].filter(Boolean);
  return make("section", { class: "card" }, make("div", { class: "body stack" },
    make("h2", {}, "Plan"),
    make("dl", { class: "facts" }, rows.map(([name, value]) =>
      make("div", {}, make("dt", {}, name), make("dd", {}, value))))));
}

function duration(seconds) {
  const [size, name] = [[86400, "day"], [3600, "hour"], [60, "minute"]].find(([each]) => seconds >= each)
    ?? [1, "second"];
  const count = number(seconds / size);
  return `${count} ${name}${count === "1" ? "" : "s"}`;
}
