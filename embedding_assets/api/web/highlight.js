// Passages cut into marked and plain pieces. Offsets count code points, as Python does.

import { make } from "./dom.js";

/** [{text, isMarked}], in order, that together are `text`. Ranges may touch or overlap. */
export function pieces(text, ranges) {
  const points = Array.from(text);
  const found = [];
  let at = 0;
  const cut = (end, isMarked) => {
    if (end > at) found.push({ text: points.slice(at, end).join(""), isMarked });
    at = Math.max(at, end);
  };
  for (const [start, end] of [...ranges].sort((a, b) => a[0] - b[0])) {
    cut(Math.min(start, points.length), false);
    cut(Math.min(end, points.length), true);
  }
  cut(points.length, false);
  return found;
}

/** A part of a long passage around its first mark, cut at words: {text, ranges, isCut: [before, after]}. */
export function excerpt(text, ranges, limit = 520) {
  const points = Array.from(text);
  if (points.length <= limit * 1.15) return { text, ranges, isCut: [false, false] };
  const first = ranges.length ? Math.min(...ranges.map((range) => range[0])) : 0;
  let start = first > limit * 0.6 ? Math.max(0, Math.min(first - Math.floor(limit / 4), points.length - limit)) : 0;
  let end = Math.min(points.length, start + limit);
  const isSpace = (at) => /\s/u.test(points[at] ?? " ");
  for (let step = 0; start > 0 && step < 40 && !isSpace(start - 1); step += 1) start += 1;
  for (let step = 0; end < points.length && step < 40 && !isSpace(end); step += 1) end -= 1;
  const inside = ranges
    .map(([from, to]) => [Math.max(from, start) - start, Math.min(to, end) - start])
    .filter(([from, to]) => to > from);
  return { text: points.slice(start, end).join(""), ranges: inside, isCut: [start > 0, end < points.length] };
}

/** The nodes of a passage, its marks as `mark`. */
export function marked(text, ranges) {
  return pieces(text, ranges).map((piece) =>
    piece.isMarked ? make("mark", {}, piece.text) : document.createTextNode(piece.text));
}
