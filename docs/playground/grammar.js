// Caption => facts: the half of src/kineograph/data/grammar.py that understands.

export const MAX_PROMPT_CHARACTERS = 1000;

// Names of directions => steps in x (rightward) and y (downward).
export const DIRECTIONS = {
  up: [0, -1],
  down: [0, 1],
  left: [-1, 0],
  right: [1, 0],
  "up-left": [-1, -1],
  "up-right": [1, -1],
  "down-left": [-1, 1],
  "down-right": [1, 1],
};

const AXES = ["vertically", "horizontally"];
const SENSES = ["clockwise", "counter-clockwise"];

const MANNERS = {
  moving: Object.keys(DIRECTIONS),
  rotating: SENSES,
  spinning: SENSES,
  orbiting: SENSES,
  bouncing: AXES,
  zigzagging: AXES,
  shrinking: [""],
  expanding: [""],
  standing: ["still"],
};

export const COLORS = {
  red: [220, 40, 40],
  orange: [245, 140, 20],
  yellow: [245, 220, 40],
  green: [40, 160, 60],
  cyan: [50, 200, 215],
  blue: [45, 85, 225],
  purple: [140, 50, 190],
  pink: [255, 130, 185],
  white: [255, 255, 255],
  black: [0, 0, 0],
  grey: [128, 128, 128],
  brown: [115, 70, 35],
  navy: [20, 30, 85],
};

const MAX_OBJECTS = 2;

// _SAID and _ALSO in one, without the ways that their single words already say.
const SAID = {
  shape: {
    circle: "circle, disc, ball, disk, dot",
    square: "square, box",
    triangle: "triangle",
    star: "star",
    ring: "ring, hoop, donut, doughnut",
  },
  color: {
    red: "red, crimson, scarlet",
    orange: "orange",
    yellow: "yellow, golden, gold",
    green: "green, emerald, lime",
    cyan: "cyan, turquoise, aqua",
    blue: "blue, azure",
    purple: "purple, violet",
    pink: "pink, rosy",
    white: "white",
    black: "black",
    grey: "grey, gray",
    brown: "brown",
    navy: "navy, dark blue",
  },
  size: { small: "small, little, tiny", large: "large, big, huge" },
  speed: { slowly: "slowly, gently, slow", quickly: "quickly, rapidly, fast, swiftly" },
  verb: {
    moving:
      "moving, moves, drifting, drifts, gliding, glides, move, going, goes, travelling, travels, " +
      "sliding, slides, flies",
    rotating: "rotating, rotates",
    spinning: "spinning, spins, twirling, twirls",
    orbiting:
      "orbiting, orbits, going around the centre, goes around the centre, circling, revolving, revolves",
    bouncing: "bouncing, bounces",
    zigzagging: "zigzagging, zigzags",
    shrinking:
      "shrinking, shrinks, getting smaller, gets smaller, contracting, contracts, becoming smaller",
    expanding:
      "expanding, expands, growing, grows, getting larger, gets larger, getting bigger, gets bigger",
    standing: "standing, stands, staying, stays",
  },
  motion: { "standing still": "not moving, does not move, motionless, at rest" },
  manner: {
    up: "up, upwards, upward, top, upper",
    down: "down, downwards, downward, bottom, lower",
    left: "left, leftward, leftwards",
    right: "right, rightward, rightwards",
    "up-left": "up-left",
    "up-right": "up-right",
    "down-left": "down-left",
    "down-right": "down-right",
    vertically: "vertically",
    horizontally: "horizontally, from side to side, side to side",
    clockwise: "clockwise",
    "counter-clockwise": "counter-clockwise, anticlockwise, counterclockwise, anti-clockwise",
    still: "still",
  },
  on: { on: "on, against, over" },
  while: { and: "and, while" },
  diagonally: { diagonally: "diagonally" },
  ground: { background: "background, backdrop" },
  "": { "": "a, an, the, is, to, toward, towards, that, corner, in, place" },
};

// A phrase => its kind and what it means: ["color", "red"].
const VOCABULARY = new Map(
  Object.entries(SAID).flatMap(([kind, meanings]) =>
    Object.entries(meanings).flatMap(([meaning, phrases]) =>
      phrases.split(", ").map((phrase) => [phrase, [kind, meaning]]),
    ),
  ),
);
const LONGEST = Math.max(...[...VOCABULARY.keys()].map((phrase) => phrase.split(" ").length));

export const motionText = ({ verb, manner }) => `${verb} ${manner}`.trim();

// Caption => { objects: [{ shape, motion: { verb, manner }, color, size, speed, diagonally }],
// background }, "" where it says nothing. Throws an Error that names the word that is unknown, or
// what is missing.
export function parse(caption) {
  const [background, words] = takeBackground(wordsOf(caption), caption);
  const starts = startsOf(words);
  if (!starts.length) throw cannot(caption, 'it needs an object and a motion, like "circle moving left"');
  if (starts.length > MAX_OBJECTS) {
    throw cannot(caption, `it names ${starts.length} objects; ${MAX_OBJECTS} are allowed`);
  }
  if (starts[0]) throw cannot(caption, `it begins with "${words[0][1]}", not with an object`);
  const clauses = starts.map((start, k) => words.slice(start, starts[k + 1]));
  return { objects: clauses.map((clause) => object(clause, caption)), background };
}

// The caption's words and phrases, the longest first, without those that say nothing.
function wordsOf(caption) {
  const text = caption.toLowerCase().split(/[[\s\x1c-\x1f\x85,.!;]--\ufeff]+/v).filter((word) => word);
  const tokens = text.flatMap((word) => (VOCABULARY.has(word) ? word : word.split("-")));
  const words = [];
  for (let at = 0; at < tokens.length; ) {
    let length = Math.min(LONGEST, tokens.length - at);
    while (length && !VOCABULARY.has(tokens.slice(at, at + length).join(" "))) length--;
    if (!length) {
      const guess = nearest(tokens[at], [...VOCABULARY.keys()].flatMap((phrase) => phrase.split(" ")));
      const hint = guess ? ` (did you mean "${guess}"?)` : "";
      throw cannot(caption, `"${tokens[at]}" is not a word it knows${hint}`);
    }
    words.push(VOCABULARY.get(tokens.slice(at, at + length).join(" ")));
    at += length;
  }
  return words.filter(([kind]) => kind);
}

// Take "on white" or "on a white background" out of the words.
function takeBackground(words, caption) {
  const places = words.flatMap(([kind], k) => (kind === "on" ? [k] : []));
  if (!places.length) return ["", words];
  const [at] = places;
  const kinds = words.slice(at + 1, at + 3).map(([kind]) => kind);
  if (places.length > 1 || kinds[0] !== "color") {
    throw cannot(caption, 'a background is said once, like "on a white background"');
  }
  const end = at + 2 + (kinds[1] === "ground");
  return [words[at + 1][1], [...words.slice(0, at), ...words.slice(end)]];
}

// Where each object's noun phrase begins: its shape, or the adjectives before that.
function startsOf(words) {
  return words.flatMap(([kind], k) => {
    if (kind !== "shape") return [];
    while (k && ["size", "color"].includes(words[k - 1][0])) k--;
    return [k];
  });
}

function object(clause, caption) {
  const said = Object.fromEntries(Object.keys(SAID).map((kind) => [kind, []]));
  for (const [kind, meaning] of clause) {
    if (kind === "motion") {
      const [verb, manner] = meaning.split(" ");
      said.verb.push(verb);
      said.manner.push(manner);
    } else {
      said[kind].push(meaning);
    }
  }
  const [shape] = said.shape;
  const once = { verb: "motion", color: "colour", size: "size", speed: "speed" };
  for (const [kind, word] of Object.entries(once)) {
    if (said[kind].length > 1) {
      const both = said[kind].map((each) => `"${each}"`).join(" and ");
      throw cannot(caption, `the ${shape} has more than one ${word}: ${both}`);
    }
  }
  if (said.ground.length) throw cannot(caption, 'a background is said like this: "on a white background"');
  if (!said.verb.length) throw cannot(caption, `the ${shape} needs a motion, like "moving left"`);
  const [[verb], [speed = ""], [color = ""], [size = ""]] = [said.verb, said.speed, said.color, said.size];
  if (verb === "standing" && speed) throw cannot(caption, `nothing stands still "${speed}"`);
  const motion = { verb, manner: mannerOf(verb, said.manner, caption) };
  const diagonally = said.diagonally.length > 0;
  if (diagonally && (verb !== "moving" || !motion.manner.includes("-"))) {
    throw cannot(caption, `"${motionText(motion)}" is not a diagonal`);
  }
  return { shape, motion, color, size, speed, diagonally };
}

// What was said of the way, put together: right, up => "up-right"; up, down => both.
function mannerOf(verb, words, caption) {
  const known = MANNERS[verb];
  const sorted = [...words].sort().join(" ");
  let manner = words.join("-");
  if (sorted === "down up") manner = "vertically";
  else if (sorted === "left right") manner = "horizontally";
  else if (verb === "moving" && !known.includes(manner)) manner = [...words].reverse().join("-");
  if (known.includes(manner)) return manner;
  const said = words.length ? `"${words.join(" ")}" is not` : "without a direction is not";
  throw cannot(caption, `"${verb}" ${said} a way it knows (${known.join(", ") || "none"})`);
}

function cannot(caption, why) {
  return new Error(`Cannot judge "${caption}": ${why}. Run \`kineograph sources\` for examples.`);
}

// The known word most like `name`, or undefined: Python's difflib.get_close_matches.
function nearest(name, known) {
  const wanted = [...name];
  let [found, best] = [undefined, 0.5];
  for (const word of known) {
    const alike = (2 * matching([...word], wanted)) / (word.length + wanted.length);
    if (alike > best || (alike === best && word > (found ?? ""))) [found, best] = [word, alike];
  }
  return found;
}

// Characters in common: the longest run, and in turn those before and after it.
function matching(a, b) {
  let [length, i, j] = [0, 0, 0];
  let runs = [];
  for (let p = 0; p < a.length; p++) {
    const longer = [];
    for (let q = 0; q < b.length; q++) {
      if (a[p] !== b[q]) continue;
      longer[q] = (runs[q - 1] ?? 0) + 1;
      if (longer[q] > length) [length, i, j] = [longer[q], p - longer[q] + 1, q - longer[q] + 1];
    }
    runs = longer;
  }
  if (!length) return 0;
  const after = matching(a.slice(i + length), b.slice(j + length));
  return length + matching(a.slice(0, i), b.slice(0, j)) + after;
}
