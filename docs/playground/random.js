// The noise of a seed, number for number as PyTorch draws it on a processor.

// SplitMix64's output function; see src/kineograph/core/seeds.py.
const WORD = (1n << 64n) - 1n;
const GOLDEN = 0x9e3779b97f4a7c15n;

function mix(x) {
  x = ((x ^ (x >> 30n)) * 0xbf58476d1ce4e5b9n) & WORD;
  x = ((x ^ (x >> 27n)) * 0x94d049bb133111ebn) & WORD;
  return x ^ (x >> 31n);
}

// One 63-bit seed (BigInt) out of several integers.
export function seedFor(...parts) {
  let state = 0n;
  for (const part of parts) state = mix(((state + GOLDEN) & WORD) ^ (BigInt(part) & WORD));
  return state >> 1n;
}

// Mersenne Twister (Matsumoto and Nishimura 1998), begun with the low 32 bits of a seed.
class Twister {
  constructor(seed) {
    this.state = new Uint32Array(624);
    this.state[0] = Number(seed & 0xffffffffn);
    for (let i = 1; i < 624; i++) {
      const last = this.state[i - 1] ^ (this.state[i - 1] >>> 30);
      this.state[i] = Math.imul(1812433253, last) + i;
    }
    this.at = 624;
  }

  next() {
    if (this.at === 624) this.turn();
    let x = this.state[this.at++];
    x ^= x >>> 11;
    x ^= (x << 7) & 0x9d2c5680;
    x ^= (x << 15) & 0xefc60000;
    return (x ^ (x >>> 18)) >>> 0;
  }

  turn() {
    const { state } = this;
    for (let i = 0; i < 624; i++) {
      const both = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
      state[i] = state[(i + 397) % 624] ^ (both >>> 1) ^ (both & 1 ? 0x9908b0df : 0);
    }
    this.at = 0;
  }
}

// `count` standard normal numbers, 16 or more: torch.randn of a float32 tensor.
export function normal(seed, count) {
  const twister = new Twister(seed);
  const uniform = () => (twister.next() & 0xffffff) / (1 << 24);
  const found = Float32Array.from({ length: count }, uniform);
  // Box and Muller 1958, of eight pairs at a time, whose second halves lie eight further on.
  const sixteen = (first) => {
    for (let i = first; i < first + 8; i++) {
      const radius = Math.sqrt(-2 * Math.log(1 - found[i]));
      const angle = 2 * Math.PI * found[i + 8];
      found[i] = radius * Math.cos(angle);
      found[i + 8] = radius * Math.sin(angle);
    }
  };
  for (let first = 0; first + 16 <= count; first += 16) sixteen(first);
  if (count % 16) {
    for (let i = count - 16; i < count; i++) found[i] = uniform(); // the last 16 are drawn again
    sixteen(count - 16);
  }
  return found;
}
