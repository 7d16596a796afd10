// What models learn from: any source or folder, as a wall of clips that play, and what is wrong in it.

import { html, useEffect, useState } from "./vendor/htm-preact.js";
import * as api from "./api.js";
import { useKept } from "./kept.js";
import { Loop } from "./player.js";
import { useRows } from "./sheet.js";
import { say } from "./words.js";

const AT_ONCE = 12;

export function Data() {
  const [known, setKnown] = useState(null);
  const [asked, setAsked] = useKept("data", { source: "shapes", folder: "", split: "", first: 0, seed: 0 });
  const [found, setFound] = useState(null);
  const [trouble, setTrouble] = useState("");
  const told = (error) => setTrouble(error.status ? error.message : say("away"));

  useEffect(() => {
    let timer;
    const look = () =>
      api.sources().then(
        (found) => {
          setKnown(found);
          setTrouble("");
        },
        (error) => {
          told(error);
          timer = setTimeout(look, 2000);
        },
      );
    look();
    return () => clearTimeout(timer);
  }, []);
  const source = known && (known.data.find((each) => each.name === asked.source) || known.data[0]);
  const folder = source && source.takes_folder ? asked.folder || (source.needs_folder ? known.folders[0] || "" : "") : "";
  const lacks = source && source.needs_folder && !folder;

  useEffect(() => {
    if (!source) return undefined;
    let wanted = true;
    setFound(null);
    setTrouble("");
    const split = source.splits ? asked.split : "";
    const look = () =>
      api.clips(source.name, { ...asked, folder, split, count: AT_ONCE }).then(
        (wall) => wanted && setFound({ ...wall, first: asked.first }),
        (error) => wanted && told(error),
      );
    const timer = lacks ? 0 : setTimeout(look, 250); // a number may have more digits
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [source && source.name, folder, asked.split, asked.first, asked.seed]);

  if (!known) return trouble ? html`<p class="bad" role="alert">${trouble}</p>` : html`<p class="quiet">${say("loading")}</p>`;
  const set = (name) => (event) => setAsked({ ...asked, first: 0, [name]: event.target.value });
  const turn = (by) => () => setAsked({ ...asked, first: Math.max(0, asked.first + by) });

  return html`<div class="shelf">
    <form class="row" onSubmit=${(event) => event.preventDefault()}>
      <label>${say("source")}
        <select value=${source.name} onChange=${set("source")}>
          ${known.data.map((each) => html`<option value=${each.name}>${each.name}</option>`)}
        </select></label>
      ${source.takes_folder && known.folders.length > 0 && html`<label>${say("folder")}
        <select value=${folder} onChange=${set("folder")}>
          ${!source.needs_folder && html`<option value="">${say("noFolder")}</option>`}
          ${known.folders.map((each) => html`<option value=${each}>${each}</option>`)}
        </select></label>`}
      ${source.splits && html`<label>${say("split")}
        <select value=${asked.split} onChange=${set("split")}>
          <option value="">${say("usual")}</option>
          <option value="train">${say("train-split")}</option>
          <option value="held-out">${say("held-out")}</option>
        </select></label>`}
      <label class="narrow">${say("seed")}<input type="number" min="0" max="2147483647" value=${asked.seed}
        onInput=${(event) => event.target.checkValidity() && setAsked({ ...asked, seed: Number(event.target.value) })} /></label>
    </form>
    <p class="quiet">${source.about}</p>
    ${lacks && html`<p class="empty">${say("needsFolder")} <code>kineograph studio --folder PATH</code></p>`}
    ${trouble && html`<p class="bad" role="alert">${trouble}</p>`}
    ${source.name === "folder" && folder && html`<${Findings} key=${folder} folder=${folder} />`}
    ${!found && !trouble && !lacks && html`<p class="quiet" aria-live="polite">${say("loading")}</p>`}
    ${found && html`<${Wall} found=${found} />
      <div class="row pager">
        <button onClick=${turn(-AT_ONCE)} disabled=${asked.first === 0}>${say("previous")}</button>
        <span class="quiet">${(found.first + 1).toLocaleString()}–${(found.first + found.clips.length).toLocaleString()} ${say("of")} ${found.total.toLocaleString()}</span>
        <button onClick=${turn(AT_ONCE)} disabled=${asked.first + AT_ONCE >= found.total}>${say("next")}</button>
      </div>`}
  </div>`;
}

// "second color" is said of the other object.
const named = (name) => name.split(" ").map(say).join(" ");

function Wall({ found }) {
  const rows = useRows(found);
  return html`<section class="made" aria-label=${say("clip")}>
    ${found.clips.map((clip, n) => html`<article class="card" aria-label=${`${say("clip")}: ${clip.caption}`}>
      ${rows && rows[n]
        ? html`<${Loop} frames=${rows[n]} fps=${found.fps} label=${clip.caption} />`
        : html`<div class="screen"></div>`}
      <div class="about"><p class="prompt">${clip.caption}</p>
        <dl class="facts">${Object.entries(clip.facts).map(([name, value]) => html`<div><dt>${named(name)}</dt><dd>${value}</dd></div>`)}</dl>
      </div></article>`)}
  </section>`;
}

function Findings({ folder }) {
  const [report, setReport] = useState(null);
  const [trouble, setTrouble] = useState("");
  const [busy, setBusy] = useState(false);
  const check = async () => {
    setBusy(true);
    setTrouble("");
    try {
      setReport(await api.checkFolder(folder));
    } catch (error) {
      setTrouble(error.status ? error.message : say("away"));
    }
    setBusy(false);
  };
  return html`<section class="panel" aria-label=${say("check")}>
    <div class="row"><button onClick=${check} disabled=${busy}>${say(busy ? "checking" : "check")}</button>
      ${report && html`<span class="quiet">${report.layout}</span>`}</div>
    ${trouble && html`<p class="bad" role="alert">${trouble}</p>`}
    ${report && html`<dl class="facts">${Object.entries(report.counts).map(
      ([name, count]) => html`<div><dt>${name}</dt><dd>${count.toLocaleString()} ${say("of")} ${report.total.toLocaleString()}</dd></div>`,
    )}</dl>
    ${Object.entries(report.remedies).map(([status, remedy]) => html`<p class="why">${status}: ${remedy}</p>`)}
    ${report.left_out.length > 0 && html`<details><summary>${say("leftOut")} (${report.left_out.length})</summary>
      <ul>${report.left_out.map((each) => html`<li><code>${each.name}</code> ${each.status}: ${each.reason}</li>`)}</ul></details>`}`}
  </section>`;
}
