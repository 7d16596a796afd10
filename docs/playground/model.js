// A model as ONNX files (`kineograph export onnx`), and how it makes a clip of a prompt.

import { normal, seedFor } from "./random.js";
import { Tokenizer } from "./tokenizer.js";

export class Model {
  // `folder` holds config.json, tokenizer.json and the graphs; `ort` is onnxruntime-web.
  static async open(folder, ort, providers) {
    const read = async (name) => {
      const answer = await fetch(`${folder}/${name}`);
      if (!answer.ok) throw new Error(`${folder}/${name}: ${answer.status}`);
      return answer;
    };
    const about = await (await read("config.json")).json();
    const tokenizer = new Tokenizer(await (await read("tokenizer.json")).json());
    const graphs = {};
    for (const [name, graph] of Object.entries(about.graphs)) {
      const bytes = new Uint8Array(await (await read(graph.file)).arrayBuffer());
      graphs[name] = await ort.InferenceSession.create(bytes, { executionProviders: providers });
    }
    return new Model(about, tokenizer, graphs, ort);
  }

  constructor(about, tokenizer, graphs, ort) {
    Object.assign(this, { about, tokenizer, graphs, ort });
  }

  // The clip of a prompt and seed: bytes (T, H, W, 4), RGBA. `item` is its number in that seed, as
  // in `kineograph generate --count`; `seen` is told how much is done, 0 to 1.
  async clip(prompt, seed, { item = 0, steps, guidance, seen = () => {} } = {}) {
    const size = this.about.noise_shape.reduce((a, b) => a * b);
    const noise = normal(seedFor(seed, item), size);
    const tokens = this.tokens(prompt);
    const pixels = this.graphs.model
      ? await this.run("model", { noise: this.floats(noise, this.about.noise_shape), tokens })
      : await this.follow(
          noise,
          tokens,
          steps ?? this.about.num_inference_steps,
          guidance ?? this.about.guidance_scale ?? 1,
          seen,
        );
    seen(1);
    return this.bytes(pixels);
  }

  // Heun's method from t = 0 to 1: see `followed` in src/kineograph/models/flow.py.
  async follow(noise, tokens, steps, guidance, seen) {
    const shape = this.about.noise_shape;
    const velocity = async (x, t) => {
      const asked = { noisy: this.floats(x, shape), time: this.floats(Float32Array.of(t), []), tokens };
      const told = await this.run("denoiser", { ...asked, prompted: this.yes(true) });
      let clean = told;
      if (guidance !== 1) {
        const plain = await this.run("denoiser", { ...asked, prompted: this.yes(false) });
        clean = plain.map((value, i) => value + guidance * (told[i] - value));
      }
      return clean.map((value, i) => (value - x[i]) / (1 - t));
    };
    let x = noise;
    for (let k = 0; k < steps; k++) {
      seen(k / steps);
      let slope = await velocity(x, k / steps);
      if (k + 1 < steps) {
        const there = x.map((value, i) => value + slope[i] / steps);
        const then = await velocity(there, (k + 1) / steps);
        slope = slope.map((value, i) => (value + then[i]) / 2);
      }
      x = x.map((value, i) => value + slope[i] / steps);
    }
    return this.run("decoder", { codes: this.floats(x, shape) });
  }

  async run(name, inputs) {
    const { output } = this.about.graphs[name];
    const found = (await this.graphs[name].run(inputs))[output];
    return found.getData();
  }

  tokens(prompt) {
    const ids = this.tokenizer.encode(prompt);
    if (!ids.length) ids.push(0);
    return new this.ort.Tensor("int64", BigInt64Array.from(ids, BigInt), [1, ids.length]);
  }

  floats(values, shape) {
    return new this.ort.Tensor("float32", values, [1, ...shape]);
  }

  yes(value) {
    return new this.ort.Tensor("bool", Uint8Array.of(value ? 1 : 0), [1]);
  }

  // Pixels (T, 3, H, W) in [-1, 1] => bytes (T, H, W, 4).
  bytes(pixels) {
    const { num_frames: frames, height, width } = this.about.shape;
    const area = height * width;
    const found = new Uint8ClampedArray(frames * area * 4).fill(255);
    for (let t = 0; t < frames; t++) {
      for (let c = 0; c < 3; c++) {
        const first = (3 * t + c) * area;
        for (let i = 0; i < area; i++) {
          found[4 * (t * area + i) + c] = Math.round((pixels[first + i] + 1) * 127.5);
        }
      }
    }
    return found;
  }
}
