// What the judge finds. Follows src/kineograph/evaluation/findings.py, but keeps only the few
// measures that other checks ask for.

import { fewest, rounded } from "./geometry.js";

// A sentence for each check that failed, and measures by name.
export class Findings {
  reasons = [];
  measured = {};

  check(holds, sentence) {
    if (!holds) this.reasons.push(sentence);
  }

  note(name, value) {
    this.measured[name] = rounded(value, 3);
  }

  absorb(other) {
    Object.assign(this.measured, other.measured);
    this.reasons.push(...other.reasons);
  }
}

// Of several readings of one path the one that fits best, the first of several.
export function absorbBest(findings, readings) {
  const attempts = readings.map((reading) => {
    const attempt = new Findings();
    reading(attempt);
    return attempt;
  });
  findings.absorb(fewest(attempts, (attempt) => attempt.reasons.length));
}
