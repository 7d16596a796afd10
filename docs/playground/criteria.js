// What each motion asks of a path: one function a verb, each limit with its reason in words.
// Follows src/kineograph/evaluation/criteria.py.
//
// Lengths are those of a 64-pixel picture (units, see tracker.js), times are frames, angles degrees
// clockwise as seen on the screen. A path is the object from its first sighting to its last, none
// missing: { centre: [[x, y]], size, cut, angle (NaN where it cannot be seen) }, one a frame, and
// { extent, period }: degrees after which it looks the same, 0 where it always does.

import {
  DEGREES, angleBetween, circleCentre, diff, drift, fixed, least, line, mean, median, mod, most, shown, slope, steps,
  sum, turning,
} from "./geometry.js";
import { absorbBest } from "./findings.js";
import { DIRECTIONS } from "./grammar.js";
import { MAX_DRIFT, bouncing, zigzagging, zigzags } from "./to_and_fro.js";

// ---- moving ---------------------------------------------------------------------------------

const MIN_TRAVEL = 8.0;
const GOES = 0.5; // below, a direction is rounding
const MAX_ANGLE = 15.0;

// Whether a path is straight and steady, and the measure in words.
//
// A shallow but clean arc is none, though it strays little: so that no path is both straight
// and an orbit.
function straightness(centre) {
  const [velocity, ahead, aside] = line(centre);
  const speed = Math.hypot(...velocity);
  for (const [error, share, word] of [[ahead, 0.35, "ahead or behind"], [aside, 0.25, "sideways"]]) {
    const [worst, limit] = [most(error.map(Math.abs)), Math.max(1.5, share * speed)];
    if (worst > limit) return [false, `${fixed(worst, 1)} pixels off ${word}; the limit is ${fixed(limit, 1)}`];
  }
  const [arm, radius, wobble] = around(centre, circleCentre(centre));
  const turn = Math.abs(sum(turning(arm)));
  const stray = most(ahead.map((value, k) => Math.hypot(value, aside[k])));
  const arc = turn >= MIN_TURN && stray >= 0.8 && wobble <= 0.4 * stray;
  return [!arc, arc ? `an arc of ${fixed(turn, 0)}°` : `only ${fixed(stray, 1)} pixels off a line`];
}

// A path seen from a pivot: the arms to it, their mean length, and how far it strays from that.
function around(centre, [px, py]) {
  const arm = centre.map(([x, y]) => [x - px, y - py]);
  const radii = arm.map(([x, y]) => Math.hypot(x, y));
  const radius = mean(radii);
  return [arm, radius, most(radii.map((each) => Math.abs(each - radius)))];
}

function moving(findings, path, motion) {
  const [velocity] = line(path.centre);
  const [straight, said] = straightness(path.centre);
  const speed = Math.hypot(...velocity);
  const travel = speed * (path.centre.length - 1);
  const angle = angleBetween(velocity, DIRECTIONS[motion.manner]);
  findings.note("pace", travel);
  findings.check(
    travel >= MIN_TRAVEL,
    `It travels ${fixed(travel, 1)} pixels; at least ${shown(MIN_TRAVEL)} needed.`,
  );
  if (travel >= GOES) {
    findings.check(
      angle <= MAX_ANGLE,
      `It moves ${fixed(angle, 0)}° off ${motion.manner}; the limit is ${fixed(MAX_ANGLE, 0)}°.`,
    );
  }
  findings.check(straight, `It does not move straight and steadily: ${said}.`);
  findings.check(!zigzags(path), "It zigzags on its way.");
  const along = steps(path.centre).map(([x, y]) => (x * velocity[0] + y * velocity[1]) / Math.max(speed, 1e-9));
  const [low, high] = [Math.min(0.25 * speed, speed - 0.5), Math.max(2 * speed, speed + 1)];
  findings.check(
    least(along) >= low,
    `It halts or turns back: a step of ${fixed(least(along), 1)} pixels; at least ${fixed(low, 1)} needed.`,
  );
  findings.check(
    most(along) <= high,
    `It jumps: a step of ${fixed(most(along), 1)} pixels; the limit is ${fixed(high, 1)}.`,
  );
}

// ---- rotating -------------------------------------------------------------------------------

const MIN_RADIUS = 4.0;
const MAX_RADIUS = 64.0;
const MIN_TURN = 45.0;
const MAX_TURN_STEP = 150.0;

// The tutorial's word: an orbit, or, of what can be seen to turn, a spin.
function rotating(findings, path, motion) {
  const readings = path.period ? [orbiting, spinning] : [orbiting];
  absorbBest(findings, readings.map((reading) => (attempt) => reading(attempt, path, motion)));
}

function orbiting(findings, path, motion) {
  const sense = motion.manner === "clockwise" ? 1 : -1;
  const [straight, said] = straightness(path.centre);
  findings.check(!straight, `It moves straight: ${said}.`);
  const pivots = [circleCentre(path.centre), path.extent.map((side) => side / 2)];
  absorbBest(findings, pivots.map((pivot) => (attempt) => orbit(attempt, path, pivot, sense)));
}

function orbit(findings, path, pivot, sense) {
  const [arm, radius, wobble] = around(path.centre, pivot);
  const turned = turning(arm).map((step) => sense * step);
  const [total, usual] = [sum(turned), mean(turned)];
  findings.note("pace", total);
  findings.check(
    MIN_RADIUS <= radius && radius <= MAX_RADIUS,
    `Its orbit has a radius of ${fixed(radius, 1)} pixels; ` +
      `${fixed(MIN_RADIUS, 0)} to ${fixed(MAX_RADIUS, 0)} are right.`,
  );
  let limit = Math.max(2.0, 0.12 * radius);
  findings.check(
    wobble <= limit,
    `It strays ${fixed(wobble, 1)} pixels from a circle; the limit is ${fixed(limit, 1)}.`,
  );
  findings.check(
    total >= MIN_TURN,
    `It turns ${fixed(total, 0)}° in the asked sense; at least ${fixed(MIN_TURN, 0)}° needed.`,
  );
  const slack = (0.5 / Math.max(radius, 1)) * DEGREES; // half a pixel of wobble
  findings.check(least(turned) >= Math.min(0.3 * usual, usual - slack), haltsTurning(turned));
  findings.check(
    most(turned) <= Math.min(Math.max(2.2 * usual, usual + 2 * slack), MAX_TURN_STEP),
    jumpsTurning(turned),
  );
  const angle = [0];
  for (const step of turned) angle.push(angle.at(-1) + step);
  const [middle, tilt] = [mean(angle), slope(angle)];
  const uneven = most(angle.map((each, k) => Math.abs(each - middle - tilt * (k - (angle.length - 1) / 2))));
  limit = Math.max(0.4 * usual, 4 * slack);
  findings.check(
    uneven <= limit,
    `It does not turn steadily: ${fixed(uneven, 0)}° ahead or behind; the limit is ${fixed(limit, 0)}°.`,
  );
}

const haltsTurning = (turned) =>
  `It halts or turns back: a step of ${fixed(least(turned), 0)}° where ${fixed(mean(turned), 0)}° is the mean.`;
const jumpsTurning = (turned) =>
  `It jumps: a step of ${fixed(most(turned), 0)}° where ${fixed(mean(turned), 0)}° is the mean.`;

// ---- spinning, standing still ---------------------------------------------------------------

const MIN_SPIN = 30.0;
const MAX_STILL_DRIFT = 2.0;
const MAX_STILL_GROWTH = 1.25;

const seenAngles = (path) => path.angle.filter(Number.isFinite);

// Degrees clockwise from each frame to the next in which the object is seen whole.
function spins(path) {
  const half = path.period / 2;
  return diff(seenAngles(path)).map((step) => mod(step + half, path.period) - half);
}

function spinning(findings, path, motion) {
  if (seenAngles(path).length < 4) {
    findings.check(false, "It cannot be seen to spin: it is round, or cut by the edge.");
    return;
  }
  checkDrift(findings, drift(path.centre), MAX_DRIFT);
  const turned = spins(path).map((step) => step * (motion.manner === "clockwise" ? 1 : -1));
  const [total, usual] = [sum(turned), mean(turned)];
  findings.note("spin", total);
  findings.note("pace", total);
  findings.check(
    total >= MIN_SPIN,
    `It spins ${fixed(total, 0)}° in the asked sense; at least ${fixed(MIN_SPIN, 0)}° needed.`,
  );
  const slack = (1.0 / Math.max(median(path.size) / 2, 1)) * DEGREES; // of a pixel at its rim
  findings.check(least(turned) >= Math.min(0.3 * usual, usual - slack), haltsTurning(turned));
  findings.check(most(turned) <= Math.max(2.2 * usual, usual + 2 * slack), jumpsTurning(turned));
}

function checkDrift(findings, far, limit) {
  findings.check(far <= limit, `It drifts by ${fixed(far, 1)} pixels; the limit is ${shown(limit)}.`);
}

function standing(findings, path) {
  checkDrift(findings, drift(path.centre), MAX_STILL_DRIFT);
  const whole = wholeOf(path, path.size, 2);
  const growth = most(whole) / Math.max(least(whole), 0.5);
  findings.check(
    growth <= MAX_STILL_GROWTH,
    `Its size changes by a factor of ${fixed(growth, 2)}; the limit is ${shown(MAX_STILL_GROWTH)}.`,
  );
  if (seenAngles(path).length >= 4) {
    const spin = Math.abs(sum(spins(path)));
    findings.note("spin", spin);
    findings.check(spin <= MIN_SPIN, `It spins by ${fixed(spin, 0)}°; the limit is ${fixed(MIN_SPIN, 0)}°.`);
  }
}

// The values of the frames in which no edge cuts it; all where those are fewer than `needed`.
export function wholeOf(path, values, needed) {
  const whole = values.filter((_, k) => !path.cut[k]);
  return whole.length >= needed ? whole : values;
}

// ---- shrinking, expanding -------------------------------------------------------------------

const MIN_GROWTH = 4 / 3;

function scaling(findings, path, motion) {
  checkDrift(findings, drift(wholeOf(path, path.centre, 3)), MAX_DRIFT);
  const far = drift(path.centre);
  let limit = Math.max(MAX_DRIFT, 0.25 * most(path.size)); // far over the edge it is a guess
  findings.check(
    far <= limit,
    `It drifts by ${fixed(far, 1)} pixels at the edge; the limit is ${fixed(limit, 1)}.`,
  );
  const size = motion.verb === "expanding" ? path.size : [...path.size].reverse();
  const growth = size.at(-1) / Math.max(size[0], 0.5);
  findings.note("pace", growth);
  findings.check(
    growth >= MIN_GROWTH,
    `${motion.verb} changes its size by a factor of ${fixed(growth, 2)}; ${fixed(MIN_GROWTH, 2)} needed.`,
  );
  const grown = diff(size);
  findings.check(
    least(grown) >= -0.5,
    `Its size goes the wrong way by ${fixed(-least(grown), 1)} pixels in a step; the limit is 0.5.`,
  );
  limit = Math.max(3 * mean(grown), 2.0);
  findings.check(
    most(grown) <= limit,
    `Its size jumps by ${fixed(most(grown), 1)} pixels in a step; the limit is ${fixed(limit, 1)}.`,
  );
}

// ---- speed ----------------------------------------------------------------------------------

// How far a verb goes in a clip, by the word for its speed: see src/kineograph/data/motion.py.
const PACES = {
  moving: { slowly: [9, 12], "": [17, 21], quickly: [28, 33] },
  bouncing: { slowly: [16, 21], "": [29, 36], quickly: [48, 60] },
  zigzagging: { slowly: [13, 15], "": [19, 23], quickly: [29, 33] },
  orbiting: { slowly: [70, 95], "": [140, 180], quickly: [250, 310] },
  spinning: { slowly: [45, 70], "": [110, 145], quickly: [210, 250] },
  shrinking: { slowly: [1.4, 1.5], "": [1.9, 2.1], quickly: [2.8, 3.2] },
  expanding: { slowly: [1.4, 1.5], "": [1.9, 2.1], quickly: [2.8, 3.2] },
};

// Check the word for the speed by how far the verb went, which its criterion noted.
//
// The limits lie half-way between the source's ranges; what is seen in a part of the clip only
// would have gone further in all of it.
export function checkSpeed(findings, path, numFrames, asked) {
  let { verb } = asked.motion;
  let { pace } = findings.measured;
  if (verb === "rotating") verb = "spin" in findings.measured ? "spinning" : "orbiting";
  if (pace === undefined) return; // to and fro in place: nothing says how fast that is
  if (!["shrinking", "expanding"].includes(verb)) pace *= (numFrames - 1) / Math.max(path.centre.length - 1, 1);
  const slowest = (PACES[verb].slowly[1] + PACES[verb][""][0]) / 2;
  const fastest = (PACES[verb][""][1] + PACES[verb].quickly[0]) / 2;
  const slow = asked.speed === "slowly";
  const limit = slow ? `at most ${Number(slowest.toPrecision(6))}` : `at least ${Number(fastest.toPrecision(6))}`;
  findings.check(
    slow ? pace <= slowest : pace >= fastest,
    `Not "${asked.speed}": ${verb}, it goes ${fixed(pace, 1)} in the clip; ${limit} is right.`,
  );
}

export const MOTIONS = {
  moving,
  rotating,
  orbiting,
  spinning,
  standing,
  shrinking: scaling,
  expanding: scaling,
  bouncing,
  zigzagging,
};
