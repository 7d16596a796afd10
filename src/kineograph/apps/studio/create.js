// A prompt becomes clips: what the model knows is at hand, what it does not is said.

import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import * as api from "./api.js";
import { Card } from "./card.js";
import { kept, useKept } from "./kept.js";
import { say } from "./words.js";

const EMPTY = {
  prompt: "",
  model: "",
  other: "",
  count: 4,
  seed: 1,
  locked: false,
  steps: "",
  guidance: "",
  bestOf: 1,
  negative: "",
};

export const reuse = (video) => {
  const form = {
    prompt: video.prompt,
    model: video.model,
    other: "",
    count: 1,
    seed: video.seed,
    locked: true,
    steps: video.num_inference_steps || "",
    guidance: video.guidance_scale,
    bestOf: video.best_of,
    negative: video.negative_prompt,
  };
  sessionStorage.setItem("form", JSON.stringify(form));
  if (location.hash === "#create") dispatchEvent(new Event("reused"));
  else location.hash = "create";
};

export const tryModel = (model) => {
  sessionStorage.setItem("form", JSON.stringify({ ...kept("form", EMPTY), model, other: "" }));
  location.hash = "create";
};

export function Create({ models }) {
  const [form, setForm] = useKept("form", EMPTY);
  const [made, setMade] = useKept("made", { ids: [] });
  const [videos, setVideos] = useState({});
  const [known, setKnown] = useState(null);
  const [trouble, setTrouble] = useState("");
  const prompt = useRef();

  const missing = form.model && !models.some((each) => each.id === form.model);
  const model = models.find((each) => each.id === form.model) || models[0];
  const set = (name) => (event) =>
    setForm({ ...form, [name]: event.target.type === "checkbox" ? event.target.checked : event.target.value });

  useEffect(() => {
    const reused = () => setForm({ ...EMPTY, ...JSON.parse(sessionStorage.getItem("form")) });
    addEventListener("reused", reused);
    return () => removeEventListener("reused", reused);
  }, []);
  useEffect(() => {
    for (const id of made.ids.flat()) {
      api.video(id).then(
        (video) => setVideos((before) => ({ ...before, [id]: before[id] || video })),
        (error) => error.status === 404 && forget(id),
      );
    }
  }, []);
  useEffect(() => {
    if (!model) return undefined;
    const timer = setTimeout(
      () => api.words(model.id, form.prompt.replace(/[\r\n\t]/g, " ")).then(
        (told) => setKnown({ ...told, prompt: form.prompt, model: model.id }),
        () => setKnown(null),
      ),
      known ? 200 : 0,
    );
    return () => clearTimeout(timer);
  }, [model && model.id, form.prompt]);

  if (!model) return html`<p class="empty">${say("noModel")}</p>`;

  const forget = (id) =>
    setMade((before) => ({
      ids: before.ids.map((row) => row.filter((each) => each !== id)).filter((row) => row.length),
    }));

  const note = (ids) => {
    sessionStorage.setItem("made", JSON.stringify({ ids })); // also where this page is left meanwhile
    setMade({ ids });
  };

  async function make(event) {
    event.preventDefault();
    setTrouble("");
    const seed = form.locked ? Number(form.seed) : Math.floor(Math.random() * 2 ** 31);
    const beside = form.other !== model.id && models.find((each) => each.id === form.other);
    const said = form.prompt.replace(/\s+/g, " ").trim();
    const rows = [];
    try {
      for (let n = 0; n < Number(form.count); n++) {
        for (const each of beside ? [model, beside] : [model]) {
          const asked = {
            prompt: said,
            model: each.id,
            seed: seed + n,
            best_of: Number(form.bestOf),
            preview: true,
          };
          if (form.guidance !== "" && each.num_inference_steps) asked.guidance_scale = Number(form.guidance);
          if (form.steps && each.num_inference_steps) asked.num_inference_steps = Number(form.steps);
          if (form.negative && each.num_inference_steps) asked.negative_prompt = form.negative;
          const video = await api.create(asked);
          rows[n] = [...(rows[n] || []), video.id];
          setVideos((before) => ({ ...before, [video.id]: video }));
          note([...rows, ...made.ids].slice(0, 60));
        }
      }
    } catch (error) {
      setTrouble(error.status ? error.message : say("away"));
    }
    setForm((before) => ({ ...before, seed }));
  }

  const put = (said) => {
    const text = form.prompt.trim();
    setForm({ ...form, prompt: text ? `${text} ${said}` : said });
    prompt.current.focus();
  };
  const correct = (unknown) => {
    const signs = Array.from(form.prompt); // as the service counts them
    signs.splice(unknown.start, Array.from(unknown.word).length, unknown.nearest);
    setForm({ ...form, prompt: signs.join("") });
    prompt.current.focus();
  };
  const fresh = known && known.prompt === form.prompt && known.model === model.id;
  const unknown = fresh ? known.unknown : [];
  const bad = unknown.length > 0;

  return html`<div class="create">
    <form class="ask" onSubmit=${make}>
      <label class="big">${say("prompt")}
        <textarea ref=${prompt} rows="2" required maxlength="1000" value=${form.prompt} onInput=${set("prompt")}
          placeholder=${`${say("promptHint")} ${model.captions[0] || ""}`} class=${bad ? "doubtful" : ""}
          aria-describedby="unknown" spellcheck="false" autofocus
          onKeyDown=${(event) => {
            if (event.key === "Enter" && !event.isComposing) event.target.form.requestSubmit(event.preventDefault());
          }} />
      </label>
      <p id="unknown" class="hint" aria-live="polite">
        ${bad && html`${say("unknown")} ${unknown.map(
          (each) => html`<mark>${each.word}</mark>${each.nearest && html` <button type="button" class="link"
            onClick=${() => correct(each)}>${say("didYouMean")} “${each.nearest}”?</button>`} `,
        )}`}
      </p>
      <${Chips} known=${known} model=${model} put=${put} whole=${(text) => setForm({ ...form, prompt: text })} />
      ${missing && html`<p class="hint">${say("missingModel")} <code>${form.model}</code></p>`}
      <div class="row">
        <label>${say("model")}
          <select value=${model.id} onChange=${set("model")}>
            ${models.map((each) => html`<option value=${each.id}>${each.id}</option>`)}
          </select></label>
        <label class="narrow">${say("clips")}
          <input type="number" min="1" max="16" required value=${form.count} onInput=${set("count")} /></label>
        <button class="primary">${say("make")}</button>
      </div>
      <details class="settings" onInvalidCapture=${(event) => (event.currentTarget.open = true)}>
        <summary>${say("settings")}</summary>
        <div class="row">
          <label class="narrow">${say("seed")}
            <input type="number" min="0" max="9007199254740991" required value=${form.seed} disabled=${!form.locked}
              onInput=${set("seed")} /></label>
          <label class="check"><input type="checkbox" checked=${form.locked} onChange=${set("locked")} />${say("lock")}</label>
        </div>
        <div class="row">
          ${model.num_inference_steps && html`<label class="narrow">${say("steps")}
            <input type="number" min="1" max="200" placeholder=${model.num_inference_steps} value=${form.steps}
              onInput=${set("steps")} /></label>
          <label class="narrow">${say("guidance")}
            <input type="number" min="0" max="20" step="any" placeholder=${model.guidance_scale}
              value=${form.guidance} onInput=${set("guidance")} /></label>`}
          <label class="narrow">${say("bestOf")}
            <input type="number" min="1" max="64" required value=${form.bestOf} onInput=${set("bestOf")} /></label>
        </div>
        ${model.num_inference_steps && html`<label>${say("negative")}
          <input value=${form.negative} maxlength="1000" onInput=${set("negative")} /></label>`}
        <label>${say("secondModel")}
          <select value=${form.other} onChange=${set("other")}>
            <option value="">${say("none")}</option>
            ${models.filter((each) => each.id !== model.id).map((each) => html`<option value=${each.id}>${each.id}</option>`)}
          </select></label>
      </details>
      ${trouble && html`<p class="bad" role="alert">${trouble}</p>`}
    </form>
    <section class="made" aria-label=${say("library")}>
      ${made.ids.length === 0 && html`<p class="empty">${say("emptyCreate")}</p>`}
      ${made.ids.map((row) => html`<div class=${row.length > 1 ? "pair" : "single"} key=${row.join()}>
        ${row.filter((id) => videos[id]).map((id) => html`<${Card} key=${id} first=${videos[id]} reuse=${reuse} gone=${forget} />`)}
      </div>`)}
    </section>
  </div>`;
}

function Chips({ known, model, put, whole }) {
  const slots = known ? Object.entries(known.slots) : [];
  if (known && slots.length === 0) {
    const some = model.captions.slice(0, 8);
    return html`<div class="chips">${some.map(
      (text) => html`<button type="button" onClick=${() => whole(text)}>${text}</button>`,
    )}</div>`;
  }
  return html`<div class="slots">${slots.map(
    ([slot, every]) => html`<fieldset class="chips"><legend>${say(slot)}</legend>
      ${every.map((text) => html`<button type="button" onClick=${() => put(text)}>${text}</button>`)}
    </fieldset>`,
  )}</div>`;
}
