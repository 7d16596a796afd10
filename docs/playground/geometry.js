// The geometry of paths: lines, circles and turning points fitted to n centres [x, y]; and what
// Python and NumPy do with numbers. Follows src/kineograph/evaluation/geometry.py.

// ---- numbers --------------------------------------------------------------------------------

export const DEGREES = 180 / Math.PI;

export const range = (count) => Array.from({ length: count }, (_, k) => k);
export const sum = (values) => values.reduce((a, b) => a + b, 0);
export const mean = (values) => sum(values) / values.length;
export const least = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);
export const most = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);
export const spread = (values) => most(values) - least(values);
export const diff = (values) => values.slice(1).map((value, k) => value - values[k]);
export const clip = (value, low, high) => Math.min(Math.max(value, low), high);
export const mod = (a, n) => (a % n < 0 ? (a % n) + n : a % n) + 0;

// Where the largest is, the first of several.
export const argmost = (values) => values.reduce((best, value, k) => (value > values[best] ? k : best), 0);

// The one with the least of something, the first of several.
export function fewest(attempts, count) {
  return attempts.reduce((best, each) => (count(each) < count(best) ? each : best));
}

export function median(values) {
  const sorted = Float64Array.from(values).sort();
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

// To the nearest whole number, of two the even one.
export function round(value) {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? 2 * Math.round(floor / 2) : Math.round(value);
}

// f"{value:.{digits}f}", which unlike `toFixed` takes the even one of two that are as near.
export function fixed(value, digits) {
  const size = Math.abs(value);
  const tie = size * 2 ** (digits + 1) % 2 === 1;
  const up = size.toFixed(digits);
  const shown = tie && Number(up.at(-1)) % 2 ? (size * (1 - 1e-9)).toFixed(digits) : up;
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  return value < 0 || Object.is(value, -0) ? `-${shown}` : shown;
}

export const percent = (value) => `${fixed(100 * value, 0)}%`;
export const rounded = (value, digits) => Number(fixed(value, digits));

// str(value) of a float.
export const shown = (value) => (Number.isInteger(value) ? value.toFixed(1) : String(value));

// ---- paths ----------------------------------------------------------------------------------

export const steps = (centre) => centre.slice(1).map(([x, y], k) => [x - centre[k][0], y - centre[k][1]]);

// The larger of how far it reaches on either axis.
export const drift = (centre) => Math.max(...[0, 1].map((axis) => spread(centre.map((p) => p[axis]))));

const middleOf = (points) => [0, 1].map((axis) => mean(points.map((p) => p[axis])));

// Straight uniform motion by least squares => velocity, and what is left over: how far the path
// runs ahead or behind, and how far it strays sideways.
export function line(centre) {
  const velocity = [0, 1].map((axis) => slope(centre.map((p) => p[axis])));
  const middle = middleOf(centre);
  const speed = Math.max(Math.hypot(...velocity), 1e-9);
  const [ax, ay] = velocity.map((v) => v / speed);
  const left = centre.map((p, k) => {
    const time = k - (centre.length - 1) / 2;
    return [0, 1].map((axis) => p[axis] - middle[axis] - time * velocity[axis]);
  });
  return [velocity, left.map(([x, y]) => x * ax + y * ay), left.map(([x, y]) => y * ax - x * ay)];
}

// The circle through points by algebraic least squares (Kåsa 1976) => its centre.
export function circleCentre(points) {
  const [mx, my] = middleOf(points);
  const p = points.map(([x, y]) => [x - mx, y - my]);
  const columns = [p.map(([x]) => 2 * x), p.map(([, y]) => 2 * y), p.map(() => 1)];
  const [x, y] = leastSquares(columns, p.map(([px, py]) => px ** 2 + py ** 2));
  return [x + mx, y + my];
}

// np.linalg.lstsq: the shortest solution, by singular values (one-sided Jacobi, Hestenes 1958).
// Centres on one line leave a singular value of rounding errors only, which must not count.
function leastSquares(columns, right) {
  const dot = (a, b) => sum(a.map((value, i) => value * b[i]));
  const own = columns.map((_, i) => columns.map((__, j) => Number(i === j)));
  for (let sweep = 0; sweep < 30; sweep++) {
    for (const [p, q] of [[0, 1], [0, 2], [1, 2]]) {
      const [a, b, both] = [dot(columns[p], columns[p]), dot(columns[q], columns[q]), dot(columns[p], columns[q])];
      if (Math.abs(both) <= Number.EPSILON * Math.sqrt(a * b)) continue;
      const zeta = (b - a) / (2 * both);
      const tan = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
      const cos = 1 / Math.hypot(1, tan);
      for (const each of [columns, own]) {
        const [u, v] = [each[p], each[q]];
        each[p] = u.map((value, i) => cos * (value - tan * v[i]));
        each[q] = v.map((value, i) => cos * (value + tan * u[i]));
      }
    }
  }
  const sizes = columns.map((column) => Math.sqrt(dot(column, column)));
  const limit = Number.EPSILON * Math.max(right.length, 3) * Math.max(...sizes);
  const shares = columns.map((column, k) => (sizes[k] > limit ? dot(column, right) / sizes[k] ** 2 : 0));
  return own[0].map((_, i) => sum(own.map((direction, k) => shares[k] * direction[i])));
}

// Arms [x, y] from a pivot => degrees clockwise from each to the next.
export function turning(arm) {
  const angles = arm.map(([x, y]) => Math.atan2(y, x) * DEGREES);
  return diff(angles).map((step) => mod(step + 180, 360) - 180);
}

// Degrees between two vectors, 0 to 180.
export function angleBetween(a, b) {
  return Math.abs(Math.atan2(a[0] * b[1] - a[1] * b[0], a[0] * b[0] + a[1] * b[1])) * DEGREES;
}

// Indices where a coordinate turns back by more than `threshold`, ends included.
export function turns(x, threshold) {
  let [found, extreme, sense] = [[0], 0, 0];
  for (let i = 1; i < x.length; i++) {
    if (sense === 0) {
      const before = x.slice(0, i + 1);
      const [low, high] = [argmost(before.map((value) => -value)), argmost(before)];
      if (x[high] - x[low] > threshold) {
        [sense, extreme] = high > low ? [1, high] : [-1, low];
        found = [Math.min(low, high)];
      }
    } else if (sense * (x[i] - x[extreme]) >= 0) {
      extreme = i;
    } else if (sense * (x[extreme] - x[i]) > threshold) {
      found.push(extreme);
      [sense, extreme] = [-sense, i];
    }
  }
  return [...found, extreme];
}

// Least-squares change of a coordinate per frame.
export function slope(x) {
  const time = x.map((_, k) => k - (x.length - 1) / 2);
  return sum(time.map((t, k) => t * x[k])) / sum(time.map((t) => t * t));
}
