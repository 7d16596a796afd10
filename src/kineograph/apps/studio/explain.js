// How a model does it, with its own numbers: noise that becomes a clip, or the duel of two networks.

import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import * as api from "./api.js";
import { Chart } from "./chart.js";
import { useKept } from "./kept.js";
import { FIRST, Loop } from "./player.js";
import { useRows } from "./sheet.js";
import { say } from "./words.js";

const PACE = 1400; // milliseconds a stage

export function Explain({ models }) {
  const [form, setForm] = useKept("explain", { model: "", prompt: null, seed: 1 });
  const [projected, setProjected] = useState(false);
  const model = models.find((each) => each.id === form.model) || models[0];
  useEffect(() => {
    document.body.classList.toggle("projected", projected);
    const left = (event) => event.key === "Escape" && setProjected(false);
    addEventListener("keydown", left);
    return () => {
      removeEventListener("keydown", left);
      document.body.classList.remove("projected");
    };
  }, [projected]);
  if (!model) return html`<p class="empty">${say("noModel")}</p>`;
  return html`<div class="shelf explain">
    <div class="row bar">
      <label>${say("model")}
        <select value=${model.id} onChange=${(event) => setForm({ ...form, model: event.target.value })}>
          ${models.map((each) => html`<option value=${each.id}>${each.id}</option>`)}
        </select></label>
      <button aria-pressed=${projected} onClick=${() => setProjected(!projected)}>${say("project")}</button>
    </div>
    ${model.num_inference_steps
      ? html`<${Forming} key=${model.id} model=${model} form=${form} setForm=${setForm} />`
      : model.family === "gan"
        ? html`<${Duel} key=${model.id} model=${model} />`
        : html`<p class="empty">${say("notExplained")}</p>`}
  </div>`;
}

// ---- noise becomes a clip -----------------------------------------------------------------------

async function pixels(source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, image.width, image.height).data;
}

// How far the first frame of each is from that of the last, as a share of the way from black to white.
async function distances(pictures) {
  const all = await Promise.all(pictures.map(pixels));
  const end = all[all.length - 1];
  return all.map((each) => {
    let sum = 0;
    for (let n = 0; n < end.length; n++) sum += n % 4 === 3 ? 0 : Math.abs(each[n] - end[n]);
    return sum / (255 * 0.75 * end.length);
  });
}

function Forming({ model, form, setForm }) {
  const [video, setVideo] = useState(null);
  const [stages, setStages] = useState([]);
  const [far, setFar] = useState([]);
  const [at, setAt] = useState(0);
  const [running, setRunning] = useState(FIRST === null);
  const [trouble, setTrouble] = useState("");
  const leaving = useRef(new AbortController());
  const prompt = form.prompt === null ? model.captions[0] || "" : form.prompt;
  useEffect(() => () => leaving.current.abort(), []);

  const show = async (event) => {
    event.preventDefault();
    leaving.current.abort();
    leaving.current = new AbortController();
    const { signal } = leaving.current;
    setTrouble("");
    setStages([]);
    setFar([]);
    setAt(0);
    try {
      const made = await api.create({ prompt, model: model.id, seed: Number(form.seed), preview: true });
      setVideo(made);
      const pictures = [];
      let ended = made;
      await api.follow(made.id, (name, data) => {
        if (name === "preview" && data.step === pictures.length) {
          pictures.push(data.image);
          setStages([...pictures]);
        } else if (data.id) {
          ended = { ...ended, ...data };
          setVideo(ended);
        }
      }, signal);
      if (signal.aborted) return;
      if (ended.status === "failed") setTrouble(ended.error ? ended.error.message : say("failed"));
      else if (pictures.length) setFar(await distances(pictures));
    } catch (error) {
      if (!signal.aborted) setTrouble(error.status ? error.message : say("away"));
    }
  };

  const last = stages.length - 1;
  const now = Math.min(at, Math.max(last, 0));
  useEffect(() => {
    if (!running || now >= last) return undefined;
    const timer = setTimeout(() => setAt(now + 1), PACE);
    return () => clearTimeout(timer);
  }, [running, now, last]);
  const go = (to) => {
    setRunning(false);
    setAt(Math.max(0, Math.min(last, to)));
  };
  useEffect(() => {
    const turned = (event) => {
      if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) || !stages.length) return;
      if (event.key === "ArrowRight") go(now + 1);
      else if (event.key === "ArrowLeft") go(now - 1);
    };
    addEventListener("keydown", turned);
    return () => removeEventListener("keydown", turned);
  });

  const steps = video ? video.num_inference_steps : model.num_inference_steps;
  const left = 1 - now / steps;
  const told = now === 0 ? say("stageNoise") : now === last && now >= steps ? say("stageEnd") : say("stageBetween");
  return html`<form class="row bar" onSubmit=${show}>
      <label class="wide">${say("prompt")}<input required maxlength="1000" value=${prompt} onInput=${(event) => setForm({ ...form, prompt: event.target.value })} /></label>
      <label class="narrow">${say("seed")}<input type="number" min="0" max="9007199254740991" required value=${form.seed} onInput=${(event) => setForm({ ...form, seed: event.target.value })} /></label>
      <button class="primary">${say("show")}</button>
    </form>
    <p class="lead">${say("explainFlow")}</p>
    ${trouble && html`<p class="bad" role="alert">${trouble}</p>`}
    ${video && !stages.length && !trouble && html`<p class="quiet" aria-live="polite">${say(video.status === "queued" ? "waiting" : "forming")} …</p>`}
    ${stages.length > 0 && html`<section class="stage" aria-label=${say("explain")}>
      <div class="screen"><img src=${stages[now]} alt=${`${say("step")} ${now}`} /></div>
      <div class="about" aria-live="polite">
        <h2>${say("step")} ${now} ${say("of")} ${steps}</h2>
        <p>${told}</p>
        <dl class="facts big">
          <div><dt>${say("noiseLeft")}</dt><dd>${Math.round(100 * left)} %</dd></div>
          ${far.length > now && html`<div><dt>${say("farFromEnd")}</dt><dd>${(100 * far[now]).toFixed(1)} %</dd></div>`}
          ${video && video.judged && now === last && html`<div><dt>${say("judge")}</dt><dd>${say(video.judged.verdict)}</dd></div>`}
        </dl>
        <div class="tools">
          <button onClick=${() => go(now - 1)} disabled=${now === 0}>‹ ${say("back")}</button>
          <button onClick=${() => (now >= last ? setAt(0) : null, setRunning(!running || now >= last))}>${say(running && now < last ? "pause" : "play")}</button>
          <button onClick=${() => go(now + 1)} disabled=${now >= last}>${say("on")} ›</button>
        </div>
      </div>
      <ol class="strip">${stages.map((picture, n) => html`<li><button aria-current=${n === now ? "step" : undefined} onClick=${() => go(n)}>
        <img src=${picture} alt=${`${say("step")} ${n}`} /><span>${n}</span></button></li>`)}</ol>
    </section>`}`;
}

// ---- the duel -----------------------------------------------------------------------------------

function Duel({ model }) {
  const [seed, setSeed] = useState(0);
  const [duel, setDuel] = useState(null);
  const [run, setRun] = useState(null);
  const [trouble, setTrouble] = useState("");
  const rows = useRows(duel);
  useEffect(() => {
    let wanted = true;
    setTrouble("");
    api.duel(model.id, seed).then((told) => wanted && setDuel(told), (error) => wanted && setTrouble(error.status ? error.message : say("away")));
    return () => (wanted = false);
  }, [seed]);
  useEffect(() => void api.run(model.id).then(setRun, () => {}), []);

  const scores = duel ? Object.values(duel.scores).flat() : [0];
  const reach = Math.max(...scores.map(Math.abs), 1e-6);
  const losses = run
    ? ["discriminator.duel", "generator.duel"].filter((name) => run.curves[name]).map((name) => ({
        name: say(name.split(".")[0]),
        x: run.curves[name].steps,
        y: run.curves[name].values,
      }))
    : [];
  return html`<p class="lead">${say("explainGan")}</p>
    ${trouble && html`<p class="bad" role="alert">${trouble}</p>`}
    ${!duel && !trouble && html`<p class="quiet" aria-live="polite">${say("loading")}</p>`}
    ${duel && html`<section class="duel" aria-label=${say("explain")}>
      ${duel.captions.map((caption, n) => html`<article class="panel">
        <h3>${caption}</h3>
        <div class="sides">
          <${Side} name="real" frames=${rows && rows[n]} fps=${duel.fps} label=${caption} />
          <${Side} name="generated" frames=${rows && rows[duel.captions.length + n]} fps=${duel.fps} label=${caption} />
        </div>
        ${["real", "generated", "other"].filter((kind) => duel.scores[kind]).map((kind) => html`<${Score} kind=${kind} value=${duel.scores[kind][n]} reach=${reach} />`)}
      </article>`)}
    </section>
`}
    ${(duel || trouble) && html`<div class="row"><button onClick=${() => setSeed(seed + 1)}>${say("others")}</button></div>`}
    ${losses.length > 0 && html`<${Chart} title=${say("duelLosses")} unit=${say("inSteps")} series=${losses} /><p class="quiet">${say("aboutLosses")}</p>`}`;
}

const Side = ({ name, frames, fps, label }) => html`<figure>
  ${frames ? html`<${Loop} frames=${frames} fps=${fps} label=${`${say(name)}: ${label}`} />` : html`<div class="screen"></div>`}
  <figcaption>${say(name)}</figcaption></figure>`;

function Score({ kind, value, reach }) {
  const share = 50 * (value / reach);
  const style = { left: `${Math.min(50, 50 + share)}%`, width: `${Math.abs(share)}%` };
  return html`<div class="score"><span>${say(`${kind}-score`)}</span>
    <div class="rail"><i class=${kind} style=${style}></i></div><b>${value.toFixed(1)}</b></div>`;
}
