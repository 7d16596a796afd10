// Trainings: start one, watch it learn, pause it, go on, try it meanwhile, compare it with others.

import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import * as api from "./api.js";
import { Chart } from "./chart.js";
import { tryModel } from "./create.js";
import { useKept } from "./kept.js";
import { FIRST } from "./player.js";
import { duration, say } from "./words.js";

const EVERY = 2000;
const BUSY = ["starting", "running", "pausing"];

export function Train() {
  const [runs, setRuns] = useState(null);
  const [known, setKnown] = useState(null);
  const [told, setTold] = useState({});
  const [chosen, setChosen] = useKept("runs", { shown: "", beside: [] });
  const [trouble, setTrouble] = useState("");
  const fail = (error) => setTrouble(error.status ? error.message : say("away"));

  const away = useRef(false);
  const look = async () => {
    try {
      setRuns(await api.runs());
      if (away.current) setTrouble("");
      away.current = false;
    } catch (error) {
      fail(error);
      away.current = true;
    }
  };
  useEffect(() => {
    if (!known && runs)
      Promise.all([api.recipes(), api.sources()]).then(([recipes, sources]) => setKnown({ recipes, sources }), () => {});
  }, [runs]);
  useEffect(() => {
    let timer;
    const again = async () => {
      if (document.visibilityState === "visible") await look();
      timer = setTimeout(again, EVERY);
    };
    again();
    return () => clearTimeout(timer);
  }, []);

  const all = (runs && runs.data) || [];
  const shown = all.find((run) => run.id === chosen.shown) || all[0];
  const beside = chosen.beside.filter((id) => shown && id !== shown.id && all.some((run) => run.id === id));
  const wanted = shown ? [shown.id, ...beside] : [];
  // A run is read again as it grows; one that waits or has ended stays as it is.
  useEffect(() => {
    for (const run of all.filter((each) => wanted.includes(each.id))) {
      const before = told[run.id];
      if (before && before.steps === run.steps && before.state === run.state) continue;
      api.run(run.id).then((detail) => setTold((every) => ({ ...every, [run.id]: detail })), () => {});
    }
  }, [runs, wanted.join()]);

  const act = (name, action) => async () => {
    setTrouble("");
    try {
      await api.changeRun(name, action);
    } catch (error) {
      fail(error);
    }
    look();
  };
  const started = (run) => {
    setChosen({ ...chosen, shown: run.id });
    look();
  };
  const compare = (id) => () => {
    const now = beside.includes(id) ? beside.filter((each) => each !== id) : [...beside, id];
    setChosen({ ...chosen, beside: now });
  };

  if (!runs) return trouble ? html`<p class="bad" role="alert">${trouble}</p>` : html`<p class="quiet">${say("loading")}</p>`;
  const busy = all.some((run) => BUSY.includes(run.state));
  const details = wanted.map((id) => told[id]).filter(Boolean);
  return html`<div class="create">
    <div class="ask">
      ${runs.trains && known && html`<${Start} known=${known} busy=${busy} started=${started} />`}
      ${trouble && html`<p class="bad" role="alert">${trouble}</p>`}
      <ul class="runs" aria-label=${say("runs")}>
        ${all.map((run) => html`<${Row} key=${run.id} run=${run} shown=${shown && run.id === shown.id} trains=${runs.trains}
          compared=${beside.includes(run.id)} compare=${compare(run.id)} act=${act}
          show=${() => setChosen({ ...chosen, shown: run.id })} />`)}
      </ul>
      ${all.length === 0 && html`<p class="quiet">${say("emptyRuns")}</p>`}
    </div>
    <section aria-label=${say("train")}>
      ${details.length > 0 && html`<${Course} details=${details} />`}
    </section>
  </div>`;
}

function Start({ known, busy, started }) {
  const [form, setForm] = useKept("training", { recipe: "tutorial", minutes: 5, seed: 0, folder: "" });
  const [trouble, setTrouble] = useState("");
  const set = (name) => (event) => setForm({ ...form, [name]: event.target.value });
  const recipe = known.recipes.find((each) => each.name === form.recipe) || known.recipes[0];
  const source = known.sources.data.find((each) => each.name === recipe.source);
  const takes = source && source.takes_folder;
  const folder = takes ? form.folder || (source.needs_folder && known.sources.folders[0]) || "" : "";
  const begin = async (event) => {
    event.preventDefault();
    setTrouble("");
    const asked = { recipe: recipe.name, minutes: Number(form.minutes), seed: Number(form.seed) };
    try {
      started(await api.startRun(folder ? { ...asked, folder } : asked));
    } catch (error) {
      setTrouble(error.status ? error.message : say("away"));
    }
  };
  return html`<form class="panel" onSubmit=${begin}>
    <label>${say("recipe")}
      <select value=${recipe.name} onChange=${set("recipe")}>
        ${known.recipes.map((each) => html`<option value=${each.name}>${each.name}</option>`)}
      </select></label>
    <p class="quiet">${recipe.about}</p>
    ${takes && html`<label>${say("folder")}
      <select value=${folder} onChange=${set("folder")} required=${source.needs_folder}>
        ${!source.needs_folder && html`<option value="">${say("noFolder")}</option>`}
        ${known.sources.folders.map((each) => html`<option value=${each}>${each}</option>`)}
      </select></label>
    ${known.sources.folders.length === 0 && html`<p class="quiet">${say("needsFolder")} <code>kineograph studio --folder PATH</code></p>`}`}
    <div class="row">
      <label class="narrow">${say("minutes")}<input type="number" min="0.1" max="100000" step="any" required value=${form.minutes} onInput=${set("minutes")} /></label>
      <label class="narrow">${say("seed")}<input type="number" min="0" max="2147483647" required value=${form.seed} onInput=${set("seed")} /></label>
      <button class="primary" disabled=${busy}>${say("start")}</button>
    </div>
    ${busy && html`<p class="quiet">${say("oneAtATime")}</p>`}
    ${trouble && html`<p class="bad" role="alert">${trouble}</p>`}
  </form>`;
}

function Row({ run, shown, compared, compare, trains, act, show }) {
  const byTime = run.of_seconds ? run.seconds / run.of_seconds : 0;
  const done = Math.max(byTime, run.of_steps ? run.steps / run.of_steps : 0);
  const busy = BUSY.includes(run.state);
  const waits = run.state === "unfinished" || run.state === "stopped";
  return html`<li class=${shown ? "run shown" : "run"}>
    <button class="name" aria-pressed=${shown} onClick=${show}>${run.id}</button>
    <span class=${`verdict ${run.state === "finished" ? "yes" : run.state === "damaged" ? "no" : ""}`}>${say(run.state)}</span>
    <p class="quiet">${run.steps.toLocaleString()} ${say("inSteps")} · ${duration(run.seconds)}${
      run.accuracy === null ? "" : ` · ${say("verified")} ${Math.round(100 * run.accuracy)} %`}</p>
    ${busy && html`<progress max="1" value=${run.state === "starting" ? undefined : Math.min(done, 1)} aria-label=${run.id}></progress>`}
    ${run.fault && html`<p class="why">${run.fault}</p>`}
    <div class="tools">
      ${trains && run.state === "running" && html`<button onClick=${act(run.id, "pause")}>${say("pauseRun")}</button>
        <button onClick=${act(run.id, "stop")}>${say("stop")}</button>`}
      ${trains && waits && html`<button onClick=${act(run.id, "resume")}>${say("resume")}</button>`}
      ${trains && run.state === "unfinished" && html`<button onClick=${act(run.id, "stop")}>${say("stop")}</button>`}
      ${run.has_model && html`<button onClick=${() => tryModel(run.id)}>${say("try")}</button>`}
      ${!shown && html`<button aria-pressed=${compared} onClick=${compare}>${say("compare")}</button>`}
    </div>
  </li>`;
}

function Course({ details }) {
  const [wanted, setWanted] = useState(true);
  const [first] = details;
  const timed = details.every((run) => Object.values(run.curves).every((curve) => !curve.seconds.includes(null)));
  const byTime = wanted && timed;
  const unit = say(byTime ? "seconds" : "inSteps");
  const line = (run, name, label) => {
    const curve = run.curves[name];
    if (!curve) return { name: label, x: [], y: [] };
    return { name: label, x: byTime ? curve.seconds : curve.steps, y: curve.values };
  };
  const ends = details.flatMap((run) => Object.keys(run.curves).map((name) => Math.max(...line(run, name, "").x)));
  const until = Math.max(...ends, 1);
  const alone = details.length === 1;
  const parts = Object.keys(first.curves).filter((name) => name.endsWith(".total"));
  const phases = parts.map((name) => say(name.replace(/\.total$/, "")));
  return html`<div class="course">
    <div class="row"><h2>${details.map((run) => run.id).join(", ")}</h2>
      <label class="check"><input type="checkbox" checked=${byTime} disabled=${!timed} onChange=${(event) => setWanted(event.target.checked)} />${say("byTime")}</label></div>
    ${details.some((run) => run.curves.accuracy) &&
    html`<${Chart} title=${say("verified")} shares unit=${unit} until=${until} series=${details.map((run) => line(run, "accuracy", run.id))} />`}
    ${alone
      ? html`<${Chart} title=${say("loss")} unit=${unit} until=${until} series=${parts.map((name, n) => line(first, name, phases[n]))} />`
      : parts.map((name, n) => html`<${Chart} title=${`${say("loss")}: ${phases[n]}`} unit=${unit} until=${until} series=${details.map((run) => line(run, name, run.id))} />`)}
    <${Checks} key=${first.id} run=${first} />
    <details><summary>${say("settings")}</summary><pre tabindex="0">${first.settings}</pre></details>
  </div>`;
}

function Checks({ run }) {
  const [at, setAt] = useState(null); // a step; others may come between
  const [sheet, setSheet] = useState(null);
  const last = run.checks.length - 1;
  const found = run.checks.findIndex((each) => each.step === at);
  const number = found < 0 ? last : found;
  const check = run.checks[number];
  const url = useRef("");
  useEffect(() => {
    let wanted = true;
    setSheet(null);
    if (check && check.sheet)
      api.sampleSheet(run.id, check.step).then(
        (blob) => {
          if (!wanted) return;
          URL.revokeObjectURL(url.current);
          url.current = URL.createObjectURL(blob);
          setSheet(url.current);
        },
        () => wanted && setSheet(null),
      );
    return () => (wanted = false);
  }, [run.id, check && check.step]);
  useEffect(() => () => URL.revokeObjectURL(url.current), []);
  if (!check) return html`<p class="quiet">${say("noCheck")}</p>`;
  const captions = Object.entries(check.captions).sort((one, other) => one[1] - other[1]);
  return html`<section class="panel">
    <label>${say("check-at")} ${check.step.toLocaleString()}
      ${last > 0 && html`<input type="range" min="0" max=${last} value=${number} onInput=${(event) => {
        const to = Number(event.target.value);
        setAt(to === last ? null : run.checks[to].step);
      }} />`}</label>
    ${sheet && html`<${Sheet} key=${sheet} src=${sheet} />`}
    <ul class="bars">${captions.map(([caption, share]) => html`<li>
      <span>${caption}</span><meter min="0" max="1" low="0.5" high="0.9" optimum="1" value=${share} aria-label=${caption}></meter><b>${Math.round(100 * share)} %</b></li>`)}
    </ul>
  </section>`;
}

// Clips in one animated picture, which plays, or shows its first frame, as one clicks on it.
function Sheet({ src }) {
  const [still, setStill] = useState(FIRST !== null);
  const canvas = useRef();
  const draw = ({ target }) => {
    canvas.current.width = target.naturalWidth;
    canvas.current.height = target.naturalHeight;
    canvas.current.getContext("2d").drawImage(target, 0, 0); // of an animation, the first frame
  };
  const what = say(still ? "play" : "pause");
  return html`<button class="loop" title=${what} aria-label=${`${what}: ${say("samples")}`} onClick=${() => setStill(!still)}>
    <img class="samples" hidden=${still} src=${src} alt=${say("samples")} onLoad=${draw} />
    <canvas class="samples" hidden=${!still} ref=${canvas}></canvas></button>`;
}
