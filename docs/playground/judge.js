// Does the video do what the prompt says? Yes or no, and why.
// Follows src/kineograph/evaluation/verifier.py; tests/test_playground_judge.py compares the two.
//
// Lengths are those of a 64-pixel picture (units, see tracker.js), times are frames, angles degrees
// clockwise as seen on the screen. The limits leave room for a learned model's small wobble, about
// a pixel of the centre, and for nothing else.

import { MOTIONS, checkSpeed, wholeOf } from "./criteria.js";
import { Findings } from "./findings.js";
import { argmost, clip, fewest, fixed, least, median, most, percent, range, rounded, shown } from "./geometry.js";
import { MAX_PROMPT_CHARACTERS, parse } from "./grammar.js";
import { SYMMETRY, colorNames, likeness, orientation } from "./templates.js";
import { separate, track } from "./tracker.js";

const MIN_FRAMES = 4;

// every frame
const MIN_CONTRAST = 40.0; // of 255
const MIN_CONTRAST_SHARE = 0.4; // of the clip's typical contrast
const MAX_ELONGATION = 1.35;
const MIN_OVERLAP = 0.75;
const MAX_SKIRT = 4.0;
const MAX_RESIDUE = 0.15; // of the object's area, within 4 and 12 square pixels
const VANISHED = 4.0; // below this diameter it may be gone with the next frame
const MAX_SIZE_RATIO = 1.5;

// what it looks like
const MIN_AGREEMENT = 0.55;
const MIN_LEAD = 0.02; // as much better may another shape agree, by chance
const RING_HOLE = [0.12, 0.45]; // share of the area; a thin outline has more
const DIAMETERS = { small: [7.0, 8.5], "": [11.0, 13.0], large: [15.5, 18.0] }; // see data/motion.py
// The word for a size => diameters of the disc of the same area; half-way between the ranges.
const SIZES = {
  small: [0, (DIAMETERS.small[1] + DIAMETERS[""][0]) / 2],
  large: [(DIAMETERS[""][1] + DIAMETERS.large[0]) / 2, Infinity],
};

// `frames` is { data, num_frames, height, width }, data (T, H, W, 4) bytes RGBA. => { verdict:
// "yes", "no" or "cannot judge", reasons, paths }. `reasons` is empty for "yes"; for "no" each is a
// check that failed, with what was measured and the limit. `paths` are where each object was seen:
// lists of [x, y] in pixels.
//
// The frames a second, `fps`, change nothing; they are there as in Python.
export function verify(frames, prompt, fps) {
  const why = cannotJudge(frames, prompt);
  if (why) return { verdict: "cannot judge", reasons: [why], paths: [] };
  const asked = parse(prompt);
  const [findings, centres] = asked.objects.length === 1 ? judgeOne(frames, asked) : judgeTwo(frames, asked);
  return {
    verdict: findings.reasons.length ? "no" : "yes",
    reasons: findings.reasons,
    paths: centres.map((centre) => pathOf(centre, frames)),
  };
}

// Why a video of this size and length cannot be judged by a prompt; "" where it can.
function cannotJudge({ num_frames: frames, height, width }, prompt, side = 16) {
  const characters = [...prompt].length;
  if (characters > MAX_PROMPT_CHARACTERS) {
    return `The prompt has ${characters} characters; the limit is ${MAX_PROMPT_CHARACTERS}.`;
  }
  try {
    parse(prompt);
  } catch (error) {
    return error.message;
  }
  if (frames < MIN_FRAMES) return `The video has ${frames} frames; a motion needs at least ${MIN_FRAMES}.`;
  if (Math.min(height, width) < side) {
    return `The video is ${width}×${height} pixels; it needs at least ${side}×${side}.`;
  }
  return "";
}

// Centres in units => pixels of the video, where it was seen: `paths` of evaluation/novelty.py.
function pathOf(centre, { height, width }) {
  const unit = Math.min(height, width) / 64;
  const seen = centre.filter((point) => point.every(Number.isFinite));
  return seen.map((point) => point.map((value) => rounded(rounded(value, 2) * unit, 1)));
}

// Both give findings, and the centres of each object that was seen.
function judgeOne(frames, asked) {
  const found = examined(track(frames), asked.objects[0], asked.background);
  return [found, found.centre ? [found.centre] : []];
}

// Each object on its own; which one is meant by which words is what fits best.
function judgeTwo(frames, asked) {
  const findings = new Findings();
  const clips = separate(frames);
  if (clips.length === 1) {
    findings.check(false, "There is one object in most frames; two were asked for.");
    return [findings, []];
  }
  const tracks = clips.map(track);
  const orders = [tracks, [...tracks].reverse()].map((order) =>
    order.map((seen, k) => examined(seen, asked.objects[k], asked.background)),
  );
  const both = fewest(orders, ([a, b]) => a.reasons.length + b.reasons.length);
  const names = namesOf(asked.objects);
  both.forEach((found, k) => found.reasons.forEach((reason) => findings.check(false, `The ${names[k]}: ${reason}`)));
  return [findings, both.flatMap((found) => (found.centre ? [found.centre] : []))];
}

// How sentences call the objects: by shape and colour, and by number where those agree.
function namesOf(objects) {
  const names = objects.map(({ color, shape }) => `${color} ${shape}`.trim());
  return names[0] === names[1] ? [`first ${names[0]}`, `second ${names[1]}`] : names;
}

// Every check of one object, and of the background.
function examined(seen, asked, background) {
  const findings = new Findings();
  if (background) {
    const names = colorNames(seen.background);
    findings.check(names.includes(background), `The background is ${names[0]}, not ${background}.`);
  }
  if (!seen.visible.includes(true) || most(seen.contrast) < MIN_CONTRAST) {
    findings.check(false, "Nothing is visible: no object stands out from the background.");
    return findings;
  }
  findings.centre = seen.centre;
  const path = look(findings, seen, asked);
  if (!path) return findings;
  MOTIONS[asked.motion.verb](findings, path, asked.motion);
  if (asked.speed) checkSpeed(findings, path, seen.visible.length, asked);
  return findings;
}

// ---- what must hold whatever the motion -----------------------------------------------------

// One whole object throughout; => its path, or null where there is none to speak of.
function look(findings, seen, asked) {
  const grows = ["shrinking", "expanding"].includes(asked.motion.verb);
  const frames = seen.visible.length;
  const count = seen.visible.filter((visible) => visible).length;
  const [first, last] = [seen.visible.indexOf(true), seen.visible.lastIndexOf(true)];
  oneObject(findings, seen);
  rightShape(findings, seen, asked.shape);
  rightColor(findings, seen, asked.color);
  rightSize(findings, seen, asked.size);
  const missing = last - first + 1 - count;
  findings.check(missing === 0, `It vanishes: ${missing} frames between sightings are empty.`);
  const needed = Math.max(MIN_FRAMES, Math.ceil(frames / 2));
  findings.check(count >= needed, `It is visible in ${count} frames only; at least ${needed} needed.`);
  if (missing || count < MIN_FRAMES) return null;
  const [centre, size, cut, angle] = [seen.centre, seen.size, seen.cut, orientation(seen, asked.shape)].map((values) =>
    values.slice(first, last + 1),
  );
  const path = { centre, size, cut, angle, extent: seen.extent, period: SYMMETRY[asked.shape] };
  comesAndGoes(findings, path, first, frames - 1 - last, grows);
  if (!grows) steadySize(findings, path);
  return path;
}

const lengthsSeen = (seen) => seen.size.map((size) => (Number.isNaN(size) ? 0 : size));

function oneObject(findings, seen) {
  const several = range(seen.objects.length).filter((t) => seen.objects[t] > 1);
  findings.check(
    several.length === 0,
    `There is more than one object in ${several.length} frames (first in frame ${several[0]}: ` +
      `${most(seen.objects)} at most); one is allowed.`,
  );
  const allowed = lengthsSeen(seen).map((size) => clip((MAX_RESIDUE * (Math.PI * size ** 2)) / 4, 4, 12));
  const worst = argmost(seen.residue.map((residue, t) => residue - allowed[t]));
  findings.check(
    seen.residue[worst] <= allowed[worst],
    `Specks cover ${fixed(seen.residue[worst], 1)} square pixels besides it (frame ${worst}); ` +
      `the limit is ${fixed(allowed[worst], 1)}.`,
  );
  const contrast = seen.contrast.filter((_, t) => seen.visible[t]);
  const faint = Math.max(MIN_CONTRAST / 2, MIN_CONTRAST_SHARE * median(contrast));
  findings.check(
    least(contrast) >= faint,
    `It fades: its contrast falls to ${fixed(least(contrast), 0)} of 255; the limit is ${fixed(faint, 0)}.`,
  );
}

// No other shape agrees with it better; a disc must be one in every frame.
function rightShape(findings, seen, shape) {
  if (shape === "circle" || shape === "ring") aDisc(findings, seen);
  const found = likeness(seen);
  if (!found) return;
  const share = found.agreement[shape === "ring" ? "circle" : shape];
  const best = found.agreement[found.best];
  findings.check(
    share >= best - MIN_LEAD,
    `It looks like a ${found.best} (${percent(best)}), not a ${shape} (${percent(share)}).`,
  );
  findings.check(
    share >= MIN_AGREEMENT,
    `It agrees with a ${shape} by ${percent(share)}; the limit is ${percent(MIN_AGREEMENT)}.`,
  );
  const [low, high] = RING_HOLE;
  if (shape === "ring") findings.check(found.hole >= low, "It is no ring: it has no hole.");
  // drawn as an outline it still is a circle
  if (shape === "circle") findings.check(found.hole < low || found.hole > high, "It is a ring rather than a circle.");
}

function rightColor(findings, seen, color) {
  if (!color) return;
  const names = colorNames(seen.color);
  findings.check(names.includes(color), `It is ${names[0]}, not ${color}.`);
}

function rightSize(findings, seen, word) {
  if (!word) return;
  const whole = seen.size.filter((_, t) => seen.visible[t] && !seen.cut[t]);
  const size = median(whole.length ? whole : seen.size.filter((_, t) => seen.visible[t]));
  const [low, high] = SIZES[word];
  findings.check(low <= size && size <= high, `It is ${fixed(size, 1)} pixels wide, which is not ${word}.`);
}

function aDisc(findings, seen) {
  const grain = Math.max(seen.grain, 1);
  const pixels = lengthsSeen(seen).map((size) => size / grain); // the fewer, the more luck in shape
  const longest = pixels.map((p) => MAX_ELONGATION + 0.15 * clip(8 - p, 0, 3) + 0.1 * clip(5 - p, 0, 5));
  const long = seen.elongation.map((value, t) => (seen.visible[t] && !seen.cut[t] ? value : 1));
  let worst = argmost(long.map((value, t) => value - longest[t]));
  findings.check(
    long[worst] <= longest[worst],
    `It is no circle: ${fixed(long[worst], 2)} times as long as wide (frame ${worst}); ` +
      `the limit is ${fixed(longest[worst], 2)}.`,
  );
  const needed = pixels.map((p) => MIN_OVERLAP - 0.08 * clip(6 - p, 0, 3));
  const overlap = seen.overlap.map((value, t) => (seen.visible[t] ? value : 1));
  worst = argmost(overlap.map((value, t) => needed[t] - value));
  findings.check(
    overlap[worst] >= needed[worst],
    `It is no circle: it agrees with a disc by ${percent(overlap[worst])} (frame ${worst}); ` +
      `the limit is ${percent(needed[worst])}.`,
  );
  const limits = seen.size.map((size) => Math.max(MAX_SKIRT * grain, 0.35 * size));
  const excess = seen.skirt.map((skirt, t) => (seen.visible[t] ? skirt - limits[t] : -Infinity));
  worst = argmost(excess);
  findings.check(
    excess[worst] <= 0,
    `It is smeared: a faint rim makes it ${fixed(seen.skirt[worst], 1)} wider (frame ${worst}); ` +
      `the limit is ${fixed(limits[worst], 1)}.`,
  );
}

// Empty frames at the ends are right only where it went over the edge, or shrank away.
function comesAndGoes(findings, path, before, after, grows) {
  const count = path.size.length;
  for (const [empty, end, inward, word] of [[before, 0, 1, "enters"], [after, count - 1, count - 2, "leaves"]]) {
    if (!empty) continue;
    const sizeAhead = 2 * path.size[end] - path.size[inward];
    const tiny = grows && Math.min(path.size[end], sizeAhead + 1) < VANISHED;
    const radius = path.size[end] / 2;
    const axes = [0, 1].map((axis) => {
      const outward = path.centre[end][axis] - path.centre[inward][axis];
      return { outward, ahead: path.centre[end][axis] + outward, side: path.extent[axis] };
    });
    const far = axes.some(
      ({ outward, ahead, side }) =>
        (ahead < radius && outward < -0.5) || (ahead > side - radius && outward > 0.5),
    );
    const near = path.cut[end] || axes.some(({ ahead, side }) => ahead < 0 || ahead > side);
    findings.check(
      tiny || (near && far),
      `It vanishes: ${empty} empty frames, though it never ${word} at an edge.`,
    );
  }
}

function steadySize(findings, path) {
  const size = wholeOf(path, path.size, 2);
  const ratio = most(size) / Math.max(least(size), 0.1);
  findings.check(
    ratio <= MAX_SIZE_RATIO,
    `Its size changes by a factor of ${fixed(ratio, 2)}; the limit is ${shown(MAX_SIZE_RATIO)}.`,
  );
}
