// Points written into pixels by hand: 20,000 of them take a canvas' own shapes many times as long.

const SHAPES = ["circle", "square", "triangle"];
const COLOURS = 12; // after so many groups the colours begin again, in another shape
const FINENESS = 4; // samples of a pixel's side, for smooth edges
const STRENGTH = 0.88;
const FAINT = 0.12;

export class Raster {
  /** A picture of so many pixels. paper and colours: as `getComputedStyle` gives them. */
  constructor(context, paper, colours) {
    this.context = context;
    this.paper = channels(paper);
    this.colours = colours.map(channels);
    this.masks = new Map();
    this.image = null;
  }

  /** Begins a new picture with points of a radius in pixels. */
  begin(width, height, radius) {
    if (this.image?.width !== width || this.image.height !== height) {
      this.image = this.context.createImageData(width, height);
      this.words = new Uint32Array(this.image.data.buffer);
    }
    const [red, green, blue] = this.paper;
    this.image.data.set([red, green, blue, 255]);
    this.words.fill(this.words[0]);
    this.radius = radius;
  }

  /** Writes the point of a group at a place in pixels. */
  point(x, y, group, isFaint) {
    const mask = this.mask(SHAPES[Math.floor(group / COLOURS) % SHAPES.length]);
    const [red, green, blue] = this.colours[group] ?? this.colours[0];
    const { data, width, height } = this.image;
    const strength = isFaint ? FAINT : STRENGTH;
    const left = Math.round(x) - mask.half;
    const top = Math.round(y) - mask.half;
    for (let row = Math.max(0, -top); row < mask.size && top + row < height; row += 1) {
      for (let column = Math.max(0, -left); column < mask.size && left + column < width; column += 1) {
        const cover = mask.cover[row * mask.size + column] * strength;
        if (!cover) continue;
        const at = ((top + row) * width + left + column) * 4;
        data[at] += (red - data[at]) * cover;
        data[at + 1] += (green - data[at + 1]) * cover;
        data[at + 2] += (blue - data[at + 2]) * cover;
      }
    }
  }

  end() {
    this.context.putImageData(this.image, 0, 0);
  }

  mask(shape) {
    const name = `${shape} ${this.radius}`;
    if (!this.masks.has(name)) this.masks.set(name, maskOf(shape, this.radius));
    return this.masks.get(name);
  }
}

function channels(colour) {
  return colour.match(/[\d.]+/g).slice(0, 3).map(Number);
}

/** How much of each pixel around the middle a shape covers. */
function maskOf(shape, radius) {
  const half = Math.ceil(radius);
  const size = 2 * half + 1;
  const cover = new Float32Array(size * size);
  for (let row = 0; row < size * FINENESS; row += 1) {
    for (let column = 0; column < size * FINENESS; column += 1) {
      const x = (column + 0.5) / FINENESS - size / 2;
      const y = (row + 0.5) / FINENESS - size / 2;
      if (!isInside(shape, x / radius, y / radius)) continue;
      cover[Math.floor(row / FINENESS) * size + Math.floor(column / FINENESS)] += 1 / FINENESS ** 2;
    }
  }
  return { half, size, cover };
}

function isInside(shape, x, y) {
  if (shape === "square") return Math.max(Math.abs(x), Math.abs(y)) <= 0.86;
  if (shape === "triangle") return y <= 0.8 && Math.abs(x) <= (y + 1) / 1.8;
  return x * x + y * y <= 1;
}
