// Names on a map that do not cover one another.

const LONGEST = 34;
const MOST = 70;
const GAP = 4;
const TOOLS = { width: 52, height: 140 }; // the buttons in the corner

/** Where each group's name stands: the middle of its points, the largest group first. */
export function groupPlaces({ x, y, group, groups }) {
  const members = groups.map(() => []);
  group.forEach((each, at) => members[each]?.push(at));
  return members
    .map((points, number) => ({ group: number, count: points.length, x: median(points, x), y: median(points, y) }))
    .filter((place) => place.count && groups[place.group])
    .sort((a, b) => b.count - a.count);
}

function median(points, values) {
  const sorted = points.map((at) => values[at]).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/** Writes names where there is room, in the order in which they are given. */
export class LabelBoard {
  constructor(context, { paper, ink, font }) {
    Object.assign(this, { context, paper, ink });
    this.fonts = { strong: `600 13px ${font}`, plain: `12px ${font}` };
    this.widths = new Map();
    this.taken = [];
  }

  clear(width, height) {
    Object.assign(this, { width, height, taken: [[width - TOOLS.width, height - TOOLS.height, TOOLS.width, TOOLS.height]] });
  }

  get isFull() {
    return this.taken.length >= MOST;
  }

  /** A name at a place, or beside it; nothing where others stand already. */
  write(name, x, y, { gap = 0, isStrong = false, isCentred = false } = {}) {
    const text = short(name);
    const font = isStrong ? this.fonts.strong : this.fonts.plain;
    const width = this.widthOf(text, font);
    const height = isStrong ? 17 : 15;
    const middle = [x - width / 2, y - height / 2];
    const places = isCentred ? [middle, [middle[0], middle[1] - height], [middle[0], middle[1] + height]]
      : [[x + gap, middle[1]], [x - gap - width, middle[1]], [middle[0], y - gap - height], [middle[0], y + gap]];
    const place = places.find(([left, top]) => this.isFree(left, top, width, height));
    if (!place) return;
    this.taken.push([place[0], place[1], width, height]);
    this.paint(text, font, place[0], place[1] + height / 2);
  }

  isFree(left, top, width, height) {
    const isInside = left >= 2 && top >= 2 && left + width <= this.width - 2 && top + height <= this.height - 2;
    return isInside && this.taken.every(([x, y, w, h]) =>
      left > x + w + GAP || x > left + width + GAP || top > y + h || y > top + height);
  }

  paint(text, font, left, middle) {
    const { context } = this;
    context.font = font;
    context.textBaseline = "middle";
    context.lineJoin = "round";
    context.lineWidth = 4;
    context.strokeStyle = this.paper;
    context.strokeText(text, left, middle);
    context.fillStyle = this.ink;
    context.fillText(text, left, middle);
  }

  widthOf(text, font) {
    const name = `${font}|${text}`;
    if (!this.widths.has(name)) {
      this.context.font = font;
      this.widths.set(name, this.context.measureText(text).width);
    }
    return this.widths.get(name);
  }
}

function short(name) {
  const points = Array.from(name.replaceAll(/\s+/g, " "));
  return points.length <= LONGEST ? points.join("") : `${points.slice(0, LONGEST - 1).join("").trimEnd()}…`;
}
