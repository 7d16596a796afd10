// Pixels => where the object is in every frame, how big, how round, and what else is there.
// Follows src/kineograph/evaluation/tracker.py.
//
// The tracker knows nothing of prompts. Everything it measures is in units: a unit is a 64th of
// the picture's shorter side, so that one threshold serves every resolution. A video is
// { data, num_frames, height, width } with data RGBA; the tracker works on a reduced one, of 64
// to 127 pixels on the shorter side. Colours are [r, g, b].

import { argmost, clip, median, most, range, round, sum } from "./geometry.js";
import { PLANE, STRONG, label, maskOf, measure } from "./shape.js";

const SIDE = 64;
const MIN_CONTRAST = 40.0; // of 255; below it nothing is called visible
const WEAK = 0.12; // share of the object's contrast from which a pixel belongs to something
const FAINT = 12.0; // of 255; and never below this, whatever the contrast

// What was seen, frame by frame: lists of one value a frame unless said otherwise, NaN (or 0, or
// false) where nothing is visible. Lengths are units; x rightward, y downward.
//
// objects, visible; centre ([x, y], estimated from the uncut side where an edge cuts it), size
// (the diameter of the disc of the same area), edges (which it touches: left, top, right, bottom),
// cut, elongation, overlap (with the fitted disc), skirt (how much wider it is at its faintest),
// hole (share of its area), contrast, residue (of everything else); and of the whole clip cover
// (coverage of the pixels of `grid`), color, background, grain (side of those pixels), extent.
export function track(video) {
  const small = reduce(video);
  const grid = gridOf(small);
  const { num_frames: frames, height, width } = small;
  const unit = Math.min(video.height, video.width) / SIDE;
  const scale = Math.min(video.height, video.width) / factorOf(video) / SIDE; // reduced pixels in a unit
  const background = backgroundOf(small);
  const distance = distanceTo(small, background);
  const level = levelOf(distance, grid, scale);
  const noise = Math.min(3.5 * medianOf(distance), 0.45 * level);
  const share = Math.fround(1 / level);
  const cover = new Float32Array(distance).map((value) => value * share);
  const found = components(cover, Math.fround(Math.max(WEAK, (FAINT + noise) / level)), grid, scale);
  const seen = measure(cover.map((value) => Math.min(value, 1)), found.mask, grid, scale);
  const body = [];
  seen.solid.forEach((solid, i) => solid && distance[i] >= 0.8 * level && body.push(i));
  const color = body.length ? [0, 1, 2].map((c) => median(body.map((i) => small.data[4 * i + c]))) : background;
  const where = (values, nothing, change) => values.map((value, t) => (seen.visible[t] ? change(value) : nothing));
  const edges = where(seen.edges, [false, false, false, false], (four) => four);
  return {
    objects: where(found.objects.map((n, t) => Math.max(n, seen.cores[t])), 0, (n) => n),
    visible: seen.visible,
    centre: where(seen.centre, [NaN, NaN], ([x, y]) => [x / scale, y / scale]),
    size: where(seen.size, NaN, (value) => value / scale),
    skirt: where(seen.skirt, NaN, (value) => value / scale),
    elongation: where(seen.elongation, NaN, (value) => value),
    overlap: where(seen.overlap, NaN, (value) => value),
    hole: seen.hole,
    cover: seen.cover,
    grid,
    edges,
    cut: edges.map((four) => four.some((edge) => edge)),
    contrast: contrastOf(distance, maskOf(seen.solid, (solid, i) => solid && distance[i] >= STRONG * level), grid),
    residue: found.residue.map((mass) => mass / scale ** 2),
    color: color.map(round),
    background,
    grain: 1 / scale,
    extent: [video.width / unit, video.height / unit],
  };
}

// Videos that show one of two objects each, the other painted over.
//
// Objects are told apart by their colours where these differ, else by where they were a frame
// before. => two videos, smaller than the given one where that is large; one where only one object
// is to be seen in most frames.
export function separate(video) {
  const small = reduce(video);
  const grid = gridOf(small);
  const background = backgroundOf(small);
  const distance = distanceTo(small, background);
  const threshold = Math.max(FAINT, WEAK * most(distance));
  const found = label(maskOf(distance, (value) => value >= threshold), grid, PLANE);
  const { labels, frame, area } = found;
  const enough = 4 * (Math.min(grid.height, grid.width) / SIDE) ** 2;
  const things = range(frame.length).filter((k) => k && area[k] >= enough);
  const counts = range(grid.frames).map((t) => things.filter((k) => frame[k] === t).length);
  if (counts.filter((count) => count >= 2).length < 0.5 * grid.frames) return [small];
  const peak = frame.map(() => 0);
  labels.forEach((k, i) => (peak[k] = Math.max(peak[k], distance[i])));
  const core = labels.map((k, i) => (distance[i] >= 0.7 * peak[k] ? k : 0));
  const color = [0, 1, 2].map((c) => averages(core, frame.length, (i) => small.data[4 * i + c]));
  const pair = twoColors(things.map((k) => color.map((channel) => channel[k])), things.map((k) => area[k]));
  let second;
  if (most(pair[0].map((value, c) => Math.abs(value - pair[1][c]))) >= 50) {
    const away = pair.map((each) => offShades(small, background, each));
    const nearer = maskOf(away[1], (value, i) => value < away[0][i]);
    const share = averages(core, frame.length, (i) => nearer[i]);
    const touching = share.map((value) => value > 0.15 && value < 0.85);
    second = labels.map((k, i) => (touching[k] ? nearer[i] : share[k] >= 0.5));
  } else {
    const x = averages(labels, frame.length, (i) => i % grid.width);
    const y = averages(labels, frame.length, (i) => Math.floor(i / grid.width) % grid.height);
    const linked = link(found, things, x.map((value, k) => [value, y[k]]));
    second = labels.map((k) => linked[k]);
  }
  return [1, 0].map((other) => without(small, background, labels, second, other));
}

// The video with the background's colour over what is (`other` 1) or is not (0) of the second
// object, and up to two pixels around it.
function without(small, background, labels, second, other) {
  const { height, width } = small;
  const data = small.data.slice();
  const gone = (i) => labels[i] && second[i] === other;
  labels.forEach((_, i) => {
    if (!gone(i)) return;
    const [x, y] = [i % width, Math.floor(i / width) % height];
    for (let dy = Math.max(-2, -y); dy <= Math.min(2, height - 1 - y); dy++) {
      for (let dx = Math.max(-2, -x); dx <= Math.min(2, width - 1 - x); dx++) {
        const at = i + dy * width + dx;
        if (!labels[at] || gone(at)) data.set(background, 4 * at);
      }
    }
  });
  return { ...small, data };
}

// The mean of something over the pixels of each label.
function averages(labels, count, value) {
  const [total, pixels] = [Array(count).fill(0), Array(count).fill(0)];
  labels.forEach((k, i) => {
    total[k] += value(i);
    pixels[k]++;
  });
  return total.map((all, k) => all / pixels[k]);
}

// How far pixels are from every mixture of a colour and the background.
function offShades({ data }, background, color) {
  const [x, y, z] = color.map((value, c) => value - background[c]);
  const found = new Float64Array(data.length / 4);
  for (let i = 0; i < found.length; i++) {
    const a = data[4 * i] - background[0];
    const b = data[4 * i + 1] - background[1];
    const c = data[4 * i + 2] - background[2];
    const share = clip((a * x + b * y + c * z) / (x * x + y * y + z * z), 0, 1);
    found[i] = Math.sqrt((a - share * x) ** 2 + (b - share * y) ** 2 + (c - share * z) ** 2);
  }
  return found;
}

// The two colours that colours fall into (2-means from the farthest pair).
function twoColors(colors, weight) {
  const apart = (a, b) => sum(a.map((value, c) => Math.abs(value - b[c])));
  const far = argmost(colors.flatMap((a) => colors.map((b) => apart(a, b))));
  let pair = [colors[Math.floor(far / colors.length)], colors[far % colors.length]];
  for (let turn = 0; turn < 5; turn++) {
    const nearer = colors.map((each) => Number(apart(each, pair[1]) < apart(each, pair[0])));
    if (!nearer.includes(0) || !nearer.includes(1)) break;
    pair = [0, 1].map((k) => {
      const own = range(colors.length).filter((i) => nearer[i] === k);
      const mass = sum(own.map((i) => weight[i]));
      return [0, 1, 2].map((c) => sum(own.map((i) => colors[i][c] * weight[i])) / mass);
    });
  }
  return pair;
}

// Which components are the second object, by going on where each was a frame before.
function link({ frame, area }, things, centre) {
  const second = frame.map(() => 0);
  const away = (a, b) => Math.hypot(centre[a][0] - b[0], centre[a][1] - b[1]);
  let last = null;
  for (let t = 0; t <= frame.at(-1); t++) {
    const here = things.filter((k) => frame[k] === t).sort((a, b) => area[b] - area[a]);
    if (here.length < 2) continue;
    let both = here.slice(0, 2);
    if (last) {
      const [a, b] = both;
      const straight = away(a, last[0]) + away(b, last[1]);
      if (straight > away(a, last[1]) + away(b, last[0])) both = [b, a];
    }
    last = both.map((k) => centre[k]);
    for (const k of here) second[k] = Number(away(k, last[1]) < away(k, last[0]));
    [second[both[0]], second[both[1]]] = [0, 1];
  }
  return second;
}

// ---- pixels ---------------------------------------------------------------------------------

const gridOf = ({ num_frames: frames, height, width }) => ({ frames, height, width });
const factorOf = ({ height, width }) => Math.max(1, Math.floor(Math.min(height, width) / SIDE));

// Average over factor × factor pixels; at the right and bottom the last ones count for what is
// not there.
function reduce(video) {
  const factor = factorOf(video);
  if (factor === 1) return video;
  const [height, width] = [video.height, video.width].map((side) => Math.ceil(side / factor));
  const data = new Uint8ClampedArray(video.num_frames * height * width * 4);
  for (let i = 0; i < data.length; i++) {
    const [x, y, t] = [(i >> 2) % width, Math.floor((i >> 2) / width) % height, Math.floor((i >> 2) / width / height)];
    let total = Math.floor(factor ** 2 / 2);
    for (let dy = 0; dy < factor; dy++) {
      const row = t * video.height + Math.min(y * factor + dy, video.height - 1);
      for (let dx = 0; dx < factor; dx++) {
        const column = Math.min(x * factor + dx, video.width - 1);
        total += video.data[4 * (row * video.width + column) + (i & 3)];
      }
    }
    data[i] = Math.floor(total / factor ** 2);
  }
  return { data, num_frames: video.num_frames, height, width };
}

// The most common colour; the rim counts as much as all the rest.
//
// The rim decides where a large object fills most of the picture.
function backgroundOf({ data, num_frames: frames, height, width }) {
  const [all, rim] = [new Float64Array(1 << 15), new Float64Array(1 << 15)];
  const onRim = (k, side) => (k < 2 || k >= side - 2 ? 1 : 0);
  for (let i = 0; i < data.length / 4; i++) {
    const code = ((data[4 * i] >> 3) << 10) | ((data[4 * i + 1] >> 3) << 5) | (data[4 * i + 2] >> 3);
    all[code]++;
    rim[code] += onRim(i % width, width) + onRim(Math.floor(i / width) % height, height);
  }
  const [pixels, around] = [frames * height * width, frames * 4 * (height + width)];
  const top = argmost(all.map((count, code) => count / pixels + rim[code] / around));
  const middle = [top >> 10, (top >> 5) & 31, top & 31].map((value) => value * 8 + 4);
  const total = [0, 0, 0];
  let near = 0;
  for (let row = 0; row < frames * height; row++) {
    if ((row % height) % 2) continue; // enough of them, in a quarter of the time
    for (let x = 0; x < width; x += 2) {
      const at = 4 * (row * width + x);
      const close = (c) => Math.abs(data[at + c] - middle[c]) <= 12;
      if (!close(0) || !close(1) || !close(2)) continue; // a colour between two bins belongs to both
      for (let c = 0; c < 3; c++) total[c] += data[at + c];
      near++;
    }
  }
  return near ? total.map((value) => round(value / near)) : middle;
}

// Largest difference in a channel, of each pixel.
function distanceTo({ data }, [r, g, b]) {
  const found = new Uint8Array(data.length / 4);
  for (let i = 0; i < found.length; i++) {
    const red = Math.abs(data[4 * i] - r);
    found[i] = Math.max(red, Math.abs(data[4 * i + 1] - g), Math.abs(data[4 * i + 2] - b));
  }
  return found;
}

// Of bytes, by counting; of two middle ones the first.
function medianOf(values) {
  return values.slice().sort()[(values.length - 1) >> 1];
}

// The object's contrast: what its best few pixels reach in a typical frame, in 255ths.
function levelOf(distance, { frames, height, width }, scale) {
  const few = Math.max(1, round(6 * scale ** 2));
  const area = height * width;
  const peaks = range(frames).map((t) => distance.slice(t * area, (t + 1) * area).sort()[area - few]);
  const enough = peaks.filter((peak) => peak >= MIN_CONTRAST);
  return enough.length ? median(enough) : 255;
}

// Contrast => mask of the main object, number of objects in each frame, other mass there.
function components(cover, threshold, grid, scale) {
  const { labels, frame, area } = label(maskOf(cover, (value) => value >= threshold), grid, PLANE);
  const mass = frame.map(() => 0);
  labels.forEach((k, i) => (mass[k] += cover[i]));
  const main = Array(grid.frames).fill(0);
  const total = Array(grid.frames).fill(0);
  for (let k = 1; k < frame.length; k++) {
    total[frame[k]] += mass[k];
    if (!main[frame[k]] || mass[k] >= mass[main[frame[k]]]) main[frame[k]] = k;
  }
  const px = scale ** 2; // in a square unit
  const objects = Array(grid.frames).fill(0);
  for (let k = 1; k < frame.length; k++) {
    const first = main[frame[k]];
    const wide = area[k] >= clip(0.15 * area[first], 6 * px, 12 * px);
    if (k === first || (wide && mass[k] >= Math.min(0.06 * mass[first], 5 * px))) objects[frame[k]]++;
  }
  return {
    mask: maskOf(labels, (k) => k > 0 && main[frame[k]] === k),
    objects,
    residue: total.map((value, t) => (main[t] ? value - mass[main[t]] : value)),
  };
}

function contrastOf(distance, solid, { frames, height, width }) {
  return range(frames).map((t) => {
    let [mass, area] = [0, 0];
    for (let i = t * height * width; i < (t + 1) * height * width; i++) {
      if (!solid[i]) continue;
      mass += distance[i];
      area++;
    }
    return mass / Math.max(area, 1);
  });
}
