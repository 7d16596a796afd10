// Which shape it is, how it is turned, what colour it has: by comparison with what we would draw.
// Follows src/kineograph/evaluation/templates.py, and src/kineograph/data/raster.py, whose shapes
// are the ruler.

import { DEGREES, argmost, clip, fewest, mean, median, mod, most, range } from "./geometry.js";
import { COLORS } from "./grammar.js";
import { totals } from "./shape.js";

// ---- shapes as they are drawn ---------------------------------------------------------------

const STAR_NOTCH = 0.45; // inner radius of the star, in outer radii

// Outer radius of each shape in radii of the disc of the same area.
const SQUARE = Math.sqrt(Math.PI / 2);
const TRIANGLE = Math.sqrt((4 * Math.PI) / (3 * Math.sqrt(3)));
const STAR = Math.sqrt(Math.PI / (5 * STAR_NOTCH * Math.sin(Math.PI / 5)));

const REACH = { circle: 1, square: SQUARE, triangle: TRIANGLE, star: STAR, ring: 1 };

// Degrees after which a turned shape looks the same; 0: it always does.
export const SYMMETRY = { circle: 0, square: 90, triangle: 120, star: 72, ring: 0 };

const [COS, SIN] = [Math.cos(Math.PI / 5), Math.sin(Math.PI / 5)];
// Of the star, from a point to a notch.
const EDGE = [STAR_NOTCH * SIN, STAR_NOTCH * COS - 1].map((part, _, edge) => part / Math.hypot(...edge));

// Signed distances in pixels: x, y from the centre, and half the size.
const DISTANCES = {
  circle: (x, y, radius) => Math.sqrt(x ** 2 + y ** 2) - radius,
  square: (x, y, radius) => Math.max(Math.abs(x), Math.abs(y)) - (radius * SQUARE) / Math.SQRT2,
  triangle(x, y, radius) {
    const flank = Math.abs(x) * (Math.sqrt(3) / 2) - y / 2;
    return Math.max(y, flank) - radius * (TRIANGLE / 2);
  },
  star(x, y, radius) { // folded into a tenth by its mirrors, one edge is left
    const once = 2 * Math.max(COS * Math.abs(x) + SIN * y, 0);
    const across = Math.abs(x) - once * COS;
    const up = once * SIN - y;
    const twice = 2 * Math.max(-COS * across - SIN * up, 0);
    return -EDGE[1] * Math.abs(across + twice * COS) + EDGE[0] * (up + twice * SIN - radius * STAR);
  },
};

// ---- likeness -------------------------------------------------------------------------------

const SILHOUETTES = ["circle", "square", "triangle", "star"]; // a ring is a circle with a hole
const MOST_FRAMES = 12;
const ANGLES = 10; // orientations of a shape that are tried

// How well the object agrees with each silhouette, 0 to 1, which agrees best, and how much of it
// is a hole, over the frames in which no edge cuts it; null where there are none.
export function likeness(seen) {
  const whole = range(seen.grid.frames).filter((t) => seen.visible[t] && !seen.cut[t]);
  if (!whole.length) return null;
  const count = Math.min(whole.length, MOST_FRAMES);
  const step = (whole.length - 1) / Math.max(count - 1, 1);
  const some = range(count).map((k) => whole[k < count - 1 ? Math.trunc(k * step) : whole.length - 1]);
  const found = SILHOUETTES.map((shape) => mean(agreement(seen, shape, some)));
  return {
    agreement: Object.fromEntries(SILHOUETTES.map((shape, k) => [shape, found[k]])),
    best: SILHOUETTES[argmost(found)],
    hole: median(some.map((t) => seen.hole[t])),
  };
}

// Best agreement of the object in each of `some` frames with a shape, in any orientation.
//
// Agreement is Σ min / Σ max of the two coverages (the soft intersection over union).
function agreement(seen, shape, some) {
  const { height, width } = seen.grid;
  const period = SYMMETRY[shape];
  const angles = period ? range(ANGLES).map((k) => (k * period) / ANGLES / DEGREES) : [0];
  const areas = totals(seen.cover, seen.grid);
  const radii = some.map((t) => seen.size[t] / seen.grain / 2);
  const side = Math.ceil(2 * REACH[shape] * most(radii)) + 2;
  const away = DISTANCES[shape];
  return some.map((t, k) => {
    const [cx, cy] = seen.centre[t].map((value) => value / seen.grain);
    const [left, top] = [cx, cy].map((value) => Math.floor(value - side / 2 + 0.5));
    const shares = angles.map((angle) => {
      const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
      let [both, drawn] = [0, 0];
      for (let y = top; y < top + side; y++) {
        for (let x = left; x < left + side; x++) {
          const dx = x + 0.5 - cx;
          const dy = y + 0.5 - cy;
          const distance = away(cos * dx + sin * dy, cos * dy - sin * dx, radii[k]);
          if (distance >= 0.5) continue;
          const template = Math.floor(clip(0.5 - distance, 0, 1) * 255 + 0.5) / 255;
          drawn += template;
          if (x < 0 || x >= width || y < 0 || y >= height) continue;
          both += Math.min(template, seen.cover[(t * height + y) * width + x]);
        }
      }
      return both / Math.max(drawn + areas[t] - both, 1e-9);
    });
    return most(shares);
  });
}

// Degrees clockwise from upright, up to the shape's symmetry, of each frame; NaN where cut or
// unseen.
//
// The angle of the n-fold moment Σ c·(x + iy)ⁿ of the coverage c about its centre, which is exact
// between the pixels.
export function orientation(seen, shape) {
  const { frames, height, width } = seen.grid;
  const period = SYMMETRY[shape];
  const fold = Math.round(360 / period);
  const upright = shape === "square" ? 45 : -90; // where an upright one points
  return range(frames).map((t) => {
    if (!period || !seen.visible[t] || seen.cut[t]) return NaN;
    const [cx, cy, reach] = [...seen.centre[t], seen.size[t]].map((value) => value / seen.grain);
    let [re, im] = [0, 0];
    for (let i = 0; i < height * width; i++) {
      const cover = seen.cover[t * height * width + i];
      if (!cover) continue;
      const [x, y] = [((i % width) + 0.5 - cx) / reach, (Math.floor(i / width) + 0.5 - cy) / reach];
      if (Math.hypot(x, y) >= 1.2) continue; // beyond every point; else far specks would rule
      let [a, b] = [x, y];
      for (let n = 1; n < fold; n++) [a, b] = [a * x - b * y, a * y + b * x];
      re += cover * a;
      im += cover * b;
    }
    return mod((Math.atan2(im, re) * DEGREES) / fold - upright, period);
  });
}

// ---- colours --------------------------------------------------------------------------------

// What other people's palettes mean by a name.
const ALSO_CALLED = {
  red: [[255, 0, 0], [139, 0, 0], [220, 20, 60]],
  orange: [[255, 165, 0], [255, 127, 14], [255, 100, 0]],
  yellow: [[255, 255, 0], [255, 215, 0]],
  green: [[0, 128, 0], [0, 255, 0], [0, 100, 0], [44, 160, 44]],
  cyan: [[0, 255, 255], [64, 224, 208], [0, 128, 128], [23, 190, 207]],
  blue: [[0, 0, 255], [31, 119, 180], [65, 105, 225], [30, 144, 255]],
  purple: [[128, 0, 128], [148, 103, 189], [138, 43, 226], [75, 0, 130], [160, 0, 255]],
  pink: [[255, 192, 203], [255, 105, 180], [255, 0, 255], [227, 119, 194]],
  grey: [[100, 100, 100], [160, 160, 160], [192, 192, 192]],
  brown: [[139, 69, 19], [165, 42, 42], [92, 51, 23], [150, 110, 70]],
  navy: [[0, 0, 128], [0, 0, 90]],
};
const PALETTE = Object.entries(COLORS).flatMap(([name, rgb]) =>
  [rgb, ...(ALSO_CALLED[name] ?? [])].map((each) => [name, lab(each)]),
);

// What a colour may be called: the nearest name in CIELAB, and others nearly as near.
export function colorNames(rgb) {
  const own = lab(rgb);
  const away = PALETTE.map(([name, there]) => [name, Math.hypot(...there.map((value, k) => value - own[k]))]);
  const [, nearest] = fewest(away, ([, far]) => far);
  const near = away.filter(([, far]) => far <= 1.15 * nearest + 2).sort((a, b) => a[1] - b[1]);
  return [...new Set(near.map(([name]) => name))];
}

// sRGB of 255 => CIELAB under D65 (CIE 15:2004).
function lab(rgb) {
  const linear = rgb.map((value) => value / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  const matrix = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]];
  const [x, y, z] = matrix.map((row, k) => {
    const t = row.reduce((total, share, c) => total + share * linear[c], 0) / [0.9505, 1.0, 1.089][k];
    return t > 216 / 24389 ? Math.cbrt(t) : ((24389 / 27) * t + 16) / 116;
  });
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}
