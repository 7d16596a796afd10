// Caption => tokens, as tokenizer.json says: byte-level BPE, split at spaces and punctuation.

const PUNCTUATION = /([!-/:-@[-`{-~]|\p{P})/u;

// Each byte as the character that stands for it in the vocabulary (GPT-2's table).
const LETTERS = (() => {
  const shown = (byte) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let hidden = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(shown(byte) ? byte : hidden++));
})();

export class Tokenizer {
  // `described` is what tokenizer.json holds.
  constructor(described) {
    this.ids = described.model.vocab;
    this.ranks = new Map(described.model.merges.map((pair, rank) => [[].concat(pair).join(" "), rank]));
  }

  // Ids of a caption; 0 is padding.
  encode(caption) {
    const words = caption.normalize("NFKC").toLowerCase().split(/\s+/u);
    const pieces = words.flatMap((word) => word.split(PUNCTUATION)).filter((piece) => piece);
    return pieces.flatMap((piece) => this.merged(piece).map((token) => this.ids[token]));
  }

  merged(piece) {
    const parts = Array.from(new TextEncoder().encode(piece), (byte) => LETTERS[byte]);
    for (;;) {
      let best = Infinity;
      let where = -1;
      for (let i = 0; i + 1 < parts.length; i++) {
        const rank = this.ranks.get(`${parts[i]} ${parts[i + 1]}`) ?? Infinity;
        if (rank < best) [best, where] = [rank, i];
      }
      if (where < 0) return parts;
      parts.splice(where, 2, parts[where] + parts[where + 1]);
    }
  }
}
