// Points in a plane, in cells, so that the nearest one is found at once.

const CELLS = 64;

export class PointGrid {
  constructor(x, y) {
    this.x = Float64Array.from(x);
    this.y = Float64Array.from(y);
    [this.left, this.right] = bounds(this.x);
    [this.bottom, this.top] = bounds(this.y);
    this.middle = { x: (this.left + this.right) / 2, y: (this.bottom + this.top) / 2 };
    this.size = Math.max(this.right - this.left, this.top - this.bottom, 1e-12) / CELLS;
    this.cells = new Map();
    for (let at = 0; at < this.x.length; at += 1) {
      const cell = this.column(this.x[at]) * (CELLS + 2) + this.row(this.y[at]);
      if (!this.cells.has(cell)) this.cells.set(cell, []);
      this.cells.get(cell).push(at);
    }
  }

  column(x) {
    return Math.max(0, Math.min(CELLS, Math.floor((x - this.left) / this.size)));
  }

  row(y) {
    return Math.max(0, Math.min(CELLS, Math.floor((y - this.bottom) / this.size)));
  }

  /** The point nearest to a place, at most `reach` away, among those that `isMeant`; or null. */
  nearest(x, y, reach, isMeant) {
    let best = null;
    let least = reach * reach;
    for (let column = this.column(x - reach); column <= this.column(x + reach); column += 1) {
      for (let row = this.row(y - reach); row <= this.row(y + reach); row += 1) {
        for (const at of this.cells.get(column * (CELLS + 2) + row) ?? []) {
          const distance = (this.x[at] - x) ** 2 + (this.y[at] - y) ** 2;
          if (distance <= least && isMeant(at)) [best, least] = [at, distance];
        }
      }
    }
    return best;
  }

  /** The next point from another in a direction ([right, up]), rather ahead than aside; or null. */
  next(from, [right, up], isMeant) {
    let best = null;
    let least = Infinity;
    for (let at = 0; at < this.x.length; at += 1) {
      const [dx, dy] = [this.x[at] - this.x[from], this.y[at] - this.y[from]];
      const ahead = dx * right + dy * up;
      const aside = Math.abs(dx * up) + Math.abs(dy * right);
      if (ahead <= 0 || aside > ahead || ahead + 2 * aside >= least || !isMeant(at)) continue;
      [best, least] = [at, ahead + 2 * aside];
    }
    return best;
  }
}

function bounds(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return values.length ? [low, high] : [0, 1];
}
