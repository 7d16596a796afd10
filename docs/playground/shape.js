// How big, how round and how solid the one object is, and where its centre is when it is cut.
// Follows src/kineograph/evaluation/shape.py. Masks and covers are flat arrays of a `grid`,
// { frames, height, width }, in the pixels of the reduced picture that the tracker works on.

import { clip, fewest, median, mean, range } from "./geometry.js";

export const STRONG = 0.5; // half covered: where the edge of an anti-aliased shape is

// Where values pass a test.
export function maskOf(values, test) {
  const mask = new Uint8Array(values.length);
  for (let i = 0; i < mask.length; i++) mask[i] = test(values[i], i) ? 1 : 0;
  return mask;
}

// ---- components -----------------------------------------------------------------------------

const CROSS = [[0, -1], [-1, 0], [1, 0], [0, 1]];
export const PLANE = [...CROSS, [-1, -1], [1, -1], [-1, 1], [1, 1]];

// Components within each frame, numbered from 1 as one reads => labels, the frame of each number
// (0 has none) and its number of pixels. What scipy.ndimage.label finds.
export function label(mask, { frames, height, width }, neighbours) {
  const labels = new Int32Array(mask.length);
  const [frame, area] = [[-1], [0]];
  const stack = [];
  for (let t = 0; t < frames; t++) {
    const first = t * height * width;
    for (let start = first; start < first + height * width; start++) {
      if (!mask[start] || labels[start]) continue;
      labels[start] = frame.length;
      stack.push(start);
      let count = 0;
      while (stack.length) {
        const at = stack.pop();
        count++;
        const x = (at - first) % width;
        const y = (at - first - x) / width;
        for (const [dx, dy] of neighbours) {
          if (x + dx < 0 || x + dx >= width || y + dy < 0 || y + dy >= height) continue;
          const next = at + dy * width + dx;
          if (!mask[next] || labels[next]) continue;
          labels[next] = frame.length;
          stack.push(next);
        }
      }
      frame.push(t);
      area.push(count);
    }
  }
  return { labels, frame, area };
}

// What no way that is free of the mask leads out of.
function enclosed(mask, grid) {
  const { frames, height, width } = grid;
  const { labels, frame } = label(maskOf(mask, (value) => !value), grid, CROSS);
  const outside = new Uint8Array(frame.length);
  outside[0] = 1;
  for (let row = 0; row < frames * height; row++) {
    const whole = row % height === 0 || row % height === height - 1;
    for (let x = 0; x < width; x += whole ? 1 : width - 1) outside[labels[row * width + x]] = 1;
  }
  return maskOf(labels, (which) => !outside[which]);
}

// ---- measures -------------------------------------------------------------------------------

// Coverage in 0 to 1 and the main object's mask => its measures, in reduced pixels.
export function measure(cover, weak, grid, scale) {
  cover = cover.map((value, i) => (weak[i] ? value : 0));
  const drawn = totals(cover, grid);
  let solid = maskOf(cover, (value) => value >= STRONG);
  const inner = silhouette(solid, weak, grid);
  if (inner) {
    solid = solid.map((value, i) => value | inner[i]);
    weak = weak.map((value, i) => value | inner[i]);
    cover = cover.map((value, i) => (inner[i] ? 1 : value));
  }
  const [whole, core, faint] = [cover, solid, weak].map((weight) => moments(weight, grid));
  const centre = whole.map((m) => m.centre);
  const size = whole.map((m) => 2 * Math.sqrt(m.area / Math.PI));
  const visible = core.map((m) => m.area >= 2 * scale ** 2);
  const edges = touched(solid, grid);
  const elongation = core.map((m, t) => Math.max(ratio(m.axes, 1 / 12), ratio(faint[t].axes, 0.6)));
  const cut = visible.map((seen, t) => seen && edges[t].some((edge) => edge));
  fitCut(cover, grid, edges, cut, visible, centre, size);
  const overlap = core.map(({ area, centre: middle }, t) => {
    if (!cut[t]) return overlapWithDisc(solid, grid, t, middle, 2 * Math.sqrt(area / Math.PI));
    elongation[t] = NaN;
    if (area < Math.max(8, ((0.15 * Math.PI) / 4) * size[t] ** 2)) return 1; // too little to tell a disc by
    return overlapWithDisc(solid, grid, t, centre[t], size[t]);
  });
  return {
    solid,
    cover,
    hole: totals(cover, grid).map((total, t) => 1 - drawn[t] / Math.max(total, 1e-9)),
    visible,
    cores: cores(solid, core.map((m) => m.area), grid, scale),
    centre,
    size,
    edges,
    elongation,
    overlap,
    skirt: core.map((m, t) => 2 * (Math.sqrt(faint[t].area / Math.PI) - Math.sqrt(m.area / Math.PI))),
  };
}

// The sum over each frame.
export function totals(weight, { frames, height, width }) {
  return range(frames).map((t) => {
    let total = 0;
    for (let i = t * height * width; i < (t + 1) * height * width; i++) total += weight[i];
    return total;
  });
}

// What to fill in where the object is hollow, or null if it nowhere is.
//
// A circle drawn as an outline, or in two colours, or with a highlight, is judged by its
// silhouette. An outline that an edge of the picture cuts is closed by that edge.
function silhouette(solid, weak, grid) {
  const { frames, height, width } = grid;
  const area = height * width;
  const [ofSolid, ofWeak] = [gaps(solid, grid), gaps(weak, grid)];
  const hollow = range(frames).filter((t) => ofSolid[t] || ofWeak[t]);
  if (!hollow.length) return null;
  const inner = maskOf(enclosed(solid, grid), (value, i) => value && hollow.includes(Math.floor(i / area)));
  const [holes, masses] = [enclosed(weak, grid), weak].map((mask) => {
    const found = totals(mask, grid);
    return hollow.map((t) => found[t]);
  });
  const some = holes.filter((hole) => hole > 0);
  if (!some.length || median(some) <= 0.15 * mean(masses)) return inner;
  const outer = { frames, height: height + 2, width: width + 2 }; // an outline: fill it, gaps and all
  const walled = new Uint8Array(frames * outer.height * outer.width);
  const place = (t, x, y) => (t * outer.height + y) * outer.width + x; // of the outer grid
  for (let row = 0; row < frames * height; row++) {
    const line = weak.subarray(row * width, (row + 1) * width);
    walled.set(line, place(Math.floor(row / height), 1, (row % height) + 1));
  }
  for (let t = 0; t < frames; t++) {
    wall(walled.subarray(place(t, 0, 0), place(t + 1, 0, 0)), weak.subarray(t * area, (t + 1) * area), grid);
  }
  const filled = enclosed(walled, outer);
  const full = (t, x, y) =>
    x < 0 || y < 0 || x >= width || y >= height ||
    weak[(t * height + y) * width + x] || filled[place(t, x + 1, y + 1)];
  for (let i = 0; i < inner.length; i++) {
    const [t, x, y] = [Math.floor(i / area), i % width, Math.floor(i / width) % height];
    if (full(t, x, y) && CROSS.every(([dx, dy]) => full(t, x + dx, y + dy))) inner[i] = 1;
  }
  return inner;
}

// Whether any row of a frame has two runs, as every hollow shape does.
function gaps(mask, { frames, height, width }) {
  const found = Array(frames).fill(false);
  for (let row = 0; row < frames * height; row++) {
    let runs = 0;
    for (let x = 0; x < width; x++) runs += mask[row * width + x] && !(x && mask[row * width + x - 1]) ? 1 : 0;
    if (runs > 1) found[Math.floor(row / height)] = true;
  }
  return found;
}

// Close an outline that the edge cuts, by the edge between its two ends (or their corner).
function wall(walled, solid, { height, width }) {
  const at = (x, y) => solid[y * width + x];
  const put = (x, y) => (walled[y * (width + 2) + x] = 1);
  const sides = [
    range(height).map((y) => at(0, y)),
    range(height).map((y) => at(width - 1, y)),
    range(width).map((x) => at(x, 0)),
    range(width).map((x) => at(x, height - 1)),
  ];
  const [left, right, top, bottom] = sides.map((side) => side.some((value) => value));
  const close = (side, low, high, build) => {
    const [first, last] = [side.indexOf(1), side.lastIndexOf(1)];
    if (first < 0) return;
    for (let k = low ? 0 : first + 1; k < (high ? side.length + 2 : last + 2); k++) build(k);
  };
  close(sides[0], top, bottom, (k) => put(0, k));
  close(sides[1], top, bottom, (k) => put(width + 1, k));
  close(sides[2], left, right, (k) => put(k, 0));
  close(sides[3], left, right, (k) => put(k, height + 1));
}

// Weights => area, centroid, and variances on its axes, of each frame.
function moments(weight, { frames, height, width }) {
  return range(frames).map((t) => {
    let [area, sx, sy, sxx, syy, sxy] = [0, 0, 0, 0, 0, 0];
    for (let i = 0; i < height * width; i++) {
      const value = weight[t * height * width + i];
      if (!value) continue;
      const x = (i % width) + 0.5;
      const y = Math.floor(i / width) + 0.5;
      area += value;
      sx += value * x;
      sy += value * y;
      sxx += value * x * x;
      syy += value * y * y;
      sxy += value * x * y;
    }
    const safe = Math.max(area, 1e-9);
    const [mx, my] = [sx / safe, sy / safe];
    const [xx, yy, xy] = [sxx / safe - mx ** 2, syy / safe - my ** 2, sxy / safe - mx * my];
    const [middle, far] = [(xx + yy) / 2, Math.sqrt(((xx - yy) / 2) ** 2 + xy ** 2)];
    return { area, centre: [mx, my], axes: [Math.max(middle + far, 0), Math.max(middle - far, 0)] };
  });
}

// Variances along the axes => longer over shorter; `own` is what blur adds to each.
const ratio = ([long, short], own) => Math.sqrt((long + own) / (short + own));

// Which edges each frame's object touches: left, top, right, bottom.
function touched(solid, { frames, height, width }) {
  return range(frames).map((t) => {
    const at = (x, y) => solid[(t * height + y) * width + x] > 0;
    const [columns, rows] = [range(width), range(height)];
    return [
      rows.some((y) => at(0, y)),
      columns.some((x) => at(x, 0)),
      rows.some((y) => at(width - 1, y)),
      columns.some((x) => at(x, height - 1)),
    ];
  });
}

// How many solid pieces a faint bridge joins, in each frame.
function cores(solid, solidArea, grid, scale) {
  const found = Array(grid.frames).fill(0);
  const { frame, area } = label(solid, grid, PLANE);
  for (let k = 1; k < frame.length; k++) {
    if (area[k] >= Math.max(4 * scale ** 2, 0.15 * solidArea[frame[k]])) found[frame[k]]++;
  }
  return found;
}

// Intersection over union with the disc; pixels within 0.6 of its edge agree with anything.
function overlapWithDisc(solid, { height, width }, t, [x, y], size) {
  const [cx, cy, radius] = [x, y, size / 2].map(Math.fround); // as NumPy has them
  let [missing, excess, disc] = [0, 0, 0];
  for (let i = 0; i < height * width; i++) {
    const dx = (i % width) + 0.5 - cx;
    const dy = Math.floor(i / width) + 0.5 - cy;
    const depth = radius - Math.sqrt(dx ** 2 + dy ** 2);
    const filled = solid[t * height * width + i];
    missing += !filled && depth > 0.6;
    excess += filled && depth < -0.6;
    disc += depth >= 0;
  }
  return (disc - missing) / Math.max(disc + excess, 1);
}

// ---- discs that an edge cuts ----------------------------------------------------------------

// Put the true centre and diameter of discs cut by the edge into `centre` and `size`.
//
// A blob's centroid is biased there. The nearest frame that shows the disc whole lends its
// radius as a prior, which counts the more the less is visible; then damped Gauss-Newton on
// coverage = clip(depth / blur + 1/2, 0, 1) for centre and radius, blurred at first to find far
// edges.
function fitCut(cover, grid, edges, cut, visible, centre, size) {
  const whole = range(grid.frames).filter((t) => visible[t] && !cut[t]);
  for (const t of range(grid.frames).filter((k) => cut[k])) {
    const box = boxOf(cover, grid, t);
    const half = Math.max(box[2] - box[0], box[3] - box[1]) / 2;
    let [prior, radius] = [0, half];
    if (whole.length) {
      const lent = size[fewest(whole, (k) => Math.abs(t - k))] / 2;
      prior = half <= 1.1 * lent ? 6 : 0; // what is wider has grown since
      radius = Math.max(lent, half);
    }
    const place = [0, 1].map((axis) => {
      const [low, high] = [edges[t][axis], edges[t][axis + 2]];
      if (low !== high) return low ? box[axis + 2] - radius : box[axis] + radius;
      return (box[axis] + box[axis + 2]) / 2;
    });
    [centre[t], size[t]] = fitDisc(cover, grid, t, place, radius, prior);
  }
}

function fitDisc(cover, { height, width }, t, [cx, cy], radius, prior) {
  const known = radius;
  const reach = Math.max(2, 0.2 * radius); // of one iteration
  for (const blur of [4, 4, 3, 3, 2, 2, 1.5, 1.5]) {
    let [xx, xy, xr, yy, yr, rr, px, py, pr] = [0, 0, 0, 0, 0, 0, 0, 0, 0];
    for (let i = 0; i < height * width; i++) {
      const dx = (i % width) + 0.5 - cx;
      const dy = Math.floor(i / width) + 0.5 - cy;
      const away = Math.sqrt(dx * dx + dy * dy);
      const depth = (radius - away) / blur + 0.5;
      if (depth <= 0 || depth >= 1) continue; // only the rim pulls
      const error = cover[t * height * width + i] - depth;
      const [x, y, r] = [dx / Math.max(away, 1e-6) / blur, dy / Math.max(away, 1e-6) / blur, 1 / blur];
      xx += x * x;
      xy += x * y;
      xr += x * r;
      yy += y * y;
      yr += y * r;
      rr += r * r;
      px += x * error;
      py += y * error;
      pr += r * error;
    }
    const weight = prior / blur;
    const normal = [[xx + 0.05, xy, xr], [xy, yy + 0.05, yr], [xr, yr, rr + 0.05 + weight]];
    const step = solve(normal, [px, py, pr + weight * (known - radius)]).map((d) => clip(d, -reach, reach));
    [cx, cy, radius] = [cx + step[0], cy + step[1], Math.max(radius + step[2], 0.5)];
  }
  return [[cx, cy], 2 * radius];
}

// Three equations by Gauss's elimination; the matrix is symmetric and positive definite.
function solve(matrix, right) {
  const rows = matrix.map((row, i) => [...row, right[i]]);
  for (let k = 0; k < 3; k++) {
    for (let i = 0; i < 3; i++) {
      if (i === k) continue;
      const share = rows[i][k] / rows[k][k];
      rows[i] = rows[i].map((value, j) => value - share * rows[k][j]);
    }
  }
  return rows.map((row, k) => row[3] / row[k]);
}

// Bounding box of the solid pixels: left, top, right, bottom, the last two exclusive.
function boxOf(cover, { height, width }, t) {
  const box = [width, height, 0, 0];
  for (let i = 0; i < height * width; i++) {
    if (cover[t * height * width + i] < STRONG) continue;
    const [x, y] = [i % width, Math.floor(i / width)];
    box.splice(0, 4, Math.min(box[0], x), Math.min(box[1], y), Math.max(box[2], x + 1), Math.max(box[3], y + 1));
  }
  return box;
}
