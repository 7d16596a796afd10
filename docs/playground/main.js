// The page: a prompt, a model, a seed => clips that play, each with its verdict.

import { verify } from "./judge.js";
import { Model } from "./model.js";

const MODELS = {
  "tutorial-gan": ["circle moving up-right", "circle moving up", "circle bouncing vertically", "circle rotating clockwise", "circle shrinking"],
  shapes: [
    "a large red star spins clockwise over a white background",
    "a small blue ring moving up-left quickly on a grey background",
    "a green triangle bouncing horizontally",
    "the disc drifts toward the top right corner",
  ],
};
const STILL = matchMedia("(prefers-reduced-motion: reduce)").matches;
const part = (id) => document.getElementById(id);
const [form, prompt, chosen, seed, count, steps, tries, told, made] =
  ["ask", "prompt", "model", "seed", "count", "steps", "tries", "told", "made"].map(part);

function element(name, properties = {}, ...children) {
  const one = Object.assign(document.createElement(name), properties);
  one.append(...children);
  return one;
}

// onnxruntime-web: with WebGPU where the machine has it, else on the processor.
let runtime;
function started() {
  runtime ??= (async () => {
    const gpu = await navigator.gpu?.requestAdapter().catch(() => null);
    const ort = await import(gpu ? "./vendor/ort.webgpu.min.mjs" : "./vendor/ort.wasm.min.mjs");
    ort.env.wasm.numThreads = 1; // more need headers that a static page cannot send
    ort.env.logLevel = "error";
    return { ort, providers: gpu ? ["webgpu", "wasm"] : ["wasm"] };
  })();
  return runtime;
}

const opened = {};
function open(name) {
  opened[name] ??= started().then(({ ort, providers }) => Model.open(`models/${name}`, ort, providers));
  opened[name].catch(() => delete opened[name]); // the next try may succeed
  return opened[name];
}

function play(canvas, pixels, { num_frames: frames, height, width }, fps) {
  const context = canvas.getContext("2d");
  const size = 4 * width * height;
  const show = (now) =>
    context.putImageData(new ImageData(pixels.subarray(now * size, (now + 1) * size), width, height), 0, 0);
  let shown = -1;
  const draw = () => {
    const now = Math.floor((performance.now() * fps) / 1000) % frames;
    if (now !== shown && canvas.dataset.still !== "yes") show((shown = now));
    if (canvas.isConnected) requestAnimationFrame(draw);
  };
  show(0);
  requestAnimationFrame(draw);
}

function card(asked, item) {
  const canvas = element("canvas", { role: "img", ariaLabel: asked.prompt });
  const screen = element("button", { type: "button", className: "loop", title: "Pause or play" }, element("div", { className: "screen" }, canvas));
  canvas.dataset.still = STILL ? "yes" : "no";
  screen.onclick = () => (canvas.dataset.still = canvas.dataset.still === "yes" ? "no" : "yes");
  const verdict = element("p", { className: "verdict", textContent: "waiting" });
  const why = element("p", { className: "why", hidden: true });
  const about = element("div", { className: "about" }, verdict, why, element("p", { className: "prompt", textContent: asked.prompt }),
    element("p", { className: "quiet", textContent: `${asked.model} · seed ${asked.seed}, clip ${item}` }));
  const whole = element("article", { className: "card" }, screen, about);
  whole.setAttribute("aria-label", asked.prompt);
  return { whole, canvas, verdict, why };
}

function judged(shown, clip) {
  const { verdict, reasons } = clip;
  shown.verdict.className = `verdict ${{ yes: "yes", no: "no" }[verdict] ?? "unknown"}`;
  shown.verdict.textContent = { yes: "✓ follows the prompt", no: "✗ does not follow it" }[verdict] ?? "cannot be judged";
  shown.why.hidden = verdict === "yes";
  shown.why.textContent = reasons[0] ?? "";
}

let turn = 0; // whoever asks again lets go of what was asked before
async function make() {
  const mine = ++turn;
  const asked = { prompt: prompt.value.trim(), model: chosen.value, seed: Number(seed.value) };
  if (!asked.prompt) {
    told.textContent = "The prompt is empty. Say what should be seen, such as: circle moving up-right";
    return;
  }
  const cards = Array.from({ length: Number(count.value) }, (_, item) => card(asked, item));
  made.replaceChildren(...cards.map((each) => each.whole));
  told.textContent = `Opening ${asked.model} …`;
  try {
    const model = await open(asked.model);
    if (mine !== turn) return;
    const { shape, fps } = model.about;
    let [right, known, began] = [0, 0, performance.now()];
    for (const [item, shown] of cards.entries()) {
      const seen = (done) => (shown.verdict.textContent = `forming · ${Math.round(100 * done)} %`);
      Object.assign(shown.canvas, { width: shape.width, height: shape.height });
      const pixels = await model.clip(asked.prompt, asked.seed, { item, steps: Number(steps.value) || undefined, seen });
      if (mine !== turn) return;
      play(shown.canvas, pixels, shape, fps);
      performance.mark("clip"); // for benchmarks/playground.py
      const found = verify({ data: pixels, ...shape }, asked.prompt, fps);
      judged(shown, found);
      right += found.verdict === "yes";
      known += found.verdict !== "cannot judge";
      await new Promise(requestAnimationFrame); // so that each is seen as it comes
    }
    const seconds = ((performance.now() - began) / 1000 / cards.length).toPrecision(2);
    const share = known ? `${right} of ${known} do what the prompt says. ` : "";
    told.textContent = `${share}${seconds} s a clip, judging included, on this machine.`;
  } catch (error) {
    console.error(error);
    told.textContent = `That went wrong: ${error.message}. Load the page again.`;
  }
}

function choose() {
  const words = MODELS[chosen.value];
  tries.replaceChildren(...words.map((text) =>
    element("button", { type: "button", textContent: text, onclick: () => ((prompt.value = text), form.requestSubmit()) })));
  part("steps-label").hidden = chosen.value !== "shapes"; // a GAN makes a clip in one pass
}

chosen.append(...Object.keys(MODELS).map((name) => element("option", { value: name, textContent: name })));
chosen.onchange = () => {
  choose();
  prompt.value = MODELS[chosen.value][0];
};
form.onsubmit = (event) => {
  event.preventDefault();
  make();
};
prompt.onkeydown = (event) => {
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    form.requestSubmit();
  }
};
prompt.value = MODELS[chosen.value][0];
choose();
make();
