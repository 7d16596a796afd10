// What bouncing and zigzagging ask of a path, each limit with its reason in words.
// Follows src/kineograph/evaluation/to_and_fro.py.
//
// Lengths are those of a 64-pixel picture (units, see tracker.js), times are frames.

import { diff, fixed, least, mean, median, most, range, shown, slope, spread, turns } from "./geometry.js";
import { Findings, absorbBest } from "./findings.js";
import { motionText } from "./grammar.js";

export const MAX_DRIFT = 3.0; // of whatever stays on a line, or in place
const MIN_LEG = 4.0;
const MIN_SWING = 3.0;
const MIN_ADVANCE = 12.0;

function alongAndAcross(path, manner) {
  const axis = manner === "horizontally" ? 0 : 1;
  return [path.centre.map((p) => p[axis]), path.centre.map((p) => p[1 - axis])];
}

const lengths = (values) => diff(values).map(Math.abs);

// Along the axis and back, in flights of steady or slowly changing speed.
export function bouncing(findings, path, motion) {
  const [along, across] = alongAndAcross(path, motion.manner);
  holdsItsLine(findings, across, motion);
  const corners = turns(along, 1.5);
  let legs = lengths(corners.map((k) => along[k]));
  const [reversals, allowed] = [corners.length - 2, Math.floor((along.length - 1) / 3)];
  findings.note("pace", median(lengths(along)) * (along.length - 1));
  findings.check(
    1 <= reversals && reversals <= allowed,
    `It turns back ${Math.max(reversals, 0)} times; bouncing does so 1 to ${allowed} times.`,
  );
  if (reversals > 1) legs = legs.slice(1, -1); // the first and the last may be cut short by the clip
  findings.check(
    least(legs) >= MIN_LEG,
    `It flies only ${fixed(least(legs), 1)} pixels one way; at least ${shown(MIN_LEG)} needed.`,
  );
  fliesSmoothly(findings, along, corners);
}

// Speeds are alike, or change little by little as under gravity; no pause, no leap.
function fliesSmoothly(findings, along, corners) {
  const speeds = lengths(along);
  findings.check(
    diff(corners).slice(1, -1).every((inner) => inner >= 2),
    "It jitters: it turns back and back again within a single step.",
  );
  if (speeds.length >= 3) { // at the top of a throw two steps are short, three are not
    const slowest = least(speeds.slice(2).map((speed, k) => speed + speeds[k + 1] + speeds[k]));
    findings.check(
      slowest >= 0.3 * mean(speeds),
      `It halts: three steps on end move it ${fixed(slowest, 1)} pixels in all.`,
    );
  }
  // Turns fall between frames: the shorter step beside one may have any length, and so may the
  // clip's first and last, which a turn may have shortened just outside of it.
  const free = corners.slice(1, -1).map((turned) => turned - (speeds[turned - 1] < speeds[turned]));
  if (speeds[0] < speeds[1]) free.push(0);
  if (speeds.at(-1) < speeds.at(-2)) free.push(speeds.length - 1);
  const flight = speeds.filter((_, k) => !free.includes(k));
  if (flight.length < 2) return;
  const typical = median(flight);
  const jump = Math.max(2.25 * typical + 1, 2.0);
  findings.check(
    most(flight) <= jump,
    `It jumps: a step of ${fixed(most(flight), 1)} pixels; the limit is ${fixed(jump, 1)}.`,
  );
  const [limit, change] = [Math.max(2.0, 0.5 * typical + 1), most(lengths(flight))];
  findings.check(
    change <= limit,
    `Its speed jumps by ${fixed(change, 1)} pixels a frame; the limit is ${fixed(limit, 1)}.`,
  );
}

function holdsItsLine(findings, across, motion) {
  const sway = spread(across);
  findings.check(
    sway <= MAX_DRIFT,
    `It sways by ${fixed(sway, 1)} pixels while ${motionText(motion)}; the limit is ${shown(MAX_DRIFT)}.`,
  );
}

// Two readings, since people use both; the one that fits better is reported.
export function zigzagging(findings, path, motion) {
  const [along, across] = alongAndAcross(path, motion.manner);
  absorbBest(findings, [
    (attempt) => alternating(attempt, along, across, motion),
    (attempt) => advancing(attempt, along, across, motion.manner),
  ]);
}

// Whether it advances along either axis while swinging across it.
export function zigzags(path) {
  return ["horizontally", "vertically"].some((manner) => {
    const attempt = new Findings();
    advancing(attempt, ...alongAndAcross(path, manner), manner);
    return !attempt.reasons.length;
  });
}

// The tutorial's: to and fro along the named axis, without getting anywhere.
function alternating(findings, along, across, motion) {
  holdsItsLine(findings, across, motion);
  const taken = diff(along);
  const speeds = lengths(along);
  const needed = 0.55 * (along.length - 2);
  const reversals = taken.slice(1).filter((step, k) => step * taken[k] < 0).length;
  findings.check(
    reversals >= needed,
    `It turns back ${reversals} times; at least ${fixed(needed, 1)} needed.`,
  );
  regular(findings, speeds, "step");
  twoSides(findings, along);
  const far = Math.abs(slope(along)) * (along.length - 1);
  const limit = Math.max(MAX_DRIFT, median(speeds));
  findings.check(
    far <= limit,
    `It drifts by ${fixed(far, 1)} pixels along; the limit is ${fixed(limit, 1)}.`,
  );
}

// All turning points of one side lie together.
function twoSides(findings, along) {
  const taken = diff(along);
  const limit = Math.max(MAX_DRIFT, 0.35 * median(lengths(along)));
  for (const side of [1, -1]) {
    const turned = range(taken.length - 1).filter((k) => taken[k] * taken[k + 1] < 0 && side * taken[k] > 0);
    const apart = turned.length ? spread(turned.map((k) => along[k + 1])) : 0;
    findings.check(
      apart <= limit,
      `Its turning points lie ${fixed(apart, 1)} pixels apart; the limit is ${fixed(limit, 1)}.`,
    );
  }
}

// The road sign's: onward along the named axis, swinging from side to side.
function advancing(findings, along, across, manner) {
  const net = along.at(-1) - along[0];
  const taken = diff(along).map((step) => step * Math.sign(net));
  const usual = mean(taken);
  findings.note("pace", Math.abs(net));
  findings.check(
    Math.abs(net) >= MIN_ADVANCE,
    `It advances ${fixed(Math.abs(net), 1)} pixels ${manner}; at least ${shown(MIN_ADVANCE)} needed.`,
  );
  findings.check(
    least(taken) >= Math.min(0.2 * usual, usual - 0.75) && most(taken) <= Math.max(2.5 * usual, usual + 1),
    `Its advance is not steady: ${fixed(least(taken), 1)} to ${fixed(most(taken), 1)} pixels a step.`,
  );
  const corners = turns(across, 1.25);
  const swings = lengths(corners.map((k) => across[k]));
  findings.check(
    corners.length - 2 >= 3,
    `It turns back from side to side ${Math.max(corners.length - 2, 0)} times; at least 3 needed.`,
  );
  // the first and the last may be cut short by the clip
  if (swings.length > 2) regular(findings, swings.slice(1, -1), "swing");
}

// To-and-fro of one length throughout: no pauses, no leaps.
function regular(findings, found, word) {
  const typical = median(found);
  const [low, high] = [Math.max(MIN_SWING, 0.5 * typical), Math.max(1.7 * typical, typical + 2)];
  findings.check(
    least(found) >= low,
    `A ${word} is only ${fixed(least(found), 1)} pixels; at least ${fixed(low, 1)} needed.`,
  );
  findings.check(
    most(found) <= high,
    `A ${word} is ${fixed(most(found), 1)} pixels; the limit is ${fixed(high, 1)}.`,
  );
}
