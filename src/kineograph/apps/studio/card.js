// One clip: as it forms, then playing, with its verdict and what can be done with it.

import { html, useEffect, useState } from "./vendor/htm-preact.js";
import * as api from "./api.js";
import { FIRST, Player, useFrames } from "./player.js";
import { say } from "./words.js";

const FORMS = { mp4: "MP4", gif: "GIF", webp: "WebP", webm: "WebM", png: "sprites" };

// Follows a job to its end; => how it stands and the last picture of it as it formed.
function useJob(first) {
  const [video, setVideo] = useState(first);
  const [preview, setPreview] = useState(null);
  useEffect(() => {
    setVideo(first);
    if (first.status === "completed" || first.status === "failed") return undefined;
    const leaving = new AbortController();
    const on = (name, data) => {
      if (name === "preview") setPreview(data.image);
      else if (data.id) setVideo((before) => ({ ...before, ...data }));
    };
    api.follow(first.id, on, leaving.signal);
    return () => leaving.abort();
  }, [first.id]);
  return [video, preview, setVideo];
}

export function Card({ first, reuse, gone, compare, compared }) {
  const [video, preview, setVideo] = useJob(first);
  const [frames, lost] = useFrames(video);
  const [frame, setFrame] = useState(FIRST);
  const [traced, setTraced] = useState(false);
  const [trouble, setTrouble] = useState("");

  const doing = (action) => () => action().catch((error) => setTrouble(error.message || say("away")));
  const remove = doing(async () => {
    if (!confirm(say("removeSure"))) return;
    await api.remove(video.id);
    gone(video.id);
  });
  const save = (form) =>
    doing(async () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await api.file(video.id, form));
      link.download = `${video.prompt.replace(/\W+/g, "-").slice(0, 60)}-${video.seed}.${form}`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    });
  if (video.gone) return null;

  const step = (by) => () => setFrame(((frame || 0) + by + video.num_frames) % video.num_frames);
  const paths = traced && video.judged ? video.judged.paths.filter((path) => path.length > 1) : null;
  const done = video.status === "completed";
  return html`<article class="card" aria-label=${`${say("clip")}: ${video.prompt}`}>
    ${frames
      ? html`<${Player} frames=${frames} fps=${video.fps} frame=${frame} paths=${paths} label=${video.prompt} />`
      : html`<div class="screen waiting">
          ${preview && html`<img src=${preview} alt="" />`}
          ${!done && video.status !== "failed" &&
          html`<progress max="100" value=${video.status === "queued" ? undefined : video.progress}
            aria-label=${say(video.status === "queued" ? "waiting" : "forming")}></progress>`}
        </div>`}
    <div class="about">
      <${Verdict} video=${video} lost=${lost} />
      <p class="prompt">${video.prompt}</p>
      <p class="quiet">${video.model} · ${say("seed")} ${video.seed}</p>
      ${trouble && html`<p class="bad" role="alert">${trouble}</p>`}
      <div class="tools">
        ${!done && video.status !== "failed" &&
        html`<button onClick=${doing(async () => setVideo(await api.cancel(video.id)))}>${say("cancel")}</button>`}
        ${frames &&
        html`<button class="icon" onClick=${step(-1)} aria-label=${say("before")} title=${say("before")}>‹</button>
          <button class="icon" onClick=${() => setFrame(frame === null ? 0 : null)}
            aria-label=${say(frame === null ? "pause" : "play")} title=${say(frame === null ? "pause" : "play")}>
            ${frame === null ? "❚❚" : "▶"}</button>
          <button class="icon" onClick=${step(1)} aria-label=${say("after")} title=${say("after")}>›</button>
          ${video.judged.paths.length > 0 &&
          html`<button aria-pressed=${traced} onClick=${() => setTraced(!traced)}>${say("path")}</button>`}
          <button class="icon" aria-pressed=${video.favourite} aria-label=${say("favourite")} title=${say("favourite")}
            onClick=${doing(async () => setVideo(await api.favourite(video.id, !video.favourite)))}>
            ${video.favourite ? "★" : "☆"}</button>`}
        ${(done || video.status === "failed") &&
        html`<details class="menu">
          <summary aria-label=${say("menu")} title=${say("menu")}>⋯</summary>
          <div>
            ${frames &&
            Object.entries(FORMS).map(
              ([form, name]) => html`<button onClick=${save(form)}>${say(name)}</button>`,
            )}
            ${compare && html`<button aria-pressed=${compared} onClick=${() => compare(video.id)}>${say("compare")}</button>`}
            ${reuse && html`<button onClick=${() => reuse(video)}>${say("again")}</button>`}
            <button class="bad" onClick=${remove}>${say("remove")}</button>
          </div>
        </details>`}
      </div>
    </div>
  </article>`;
}

function Verdict({ video, lost }) {
  if (video.status === "failed") {
    const cancelled = video.error && video.error.code === "cancelled";
    return html`<p class="verdict ${cancelled ? "unknown" : "no"}">${say(cancelled ? "cancelled" : "failed")}</p>
      ${!cancelled && video.error && html`<p class="why">${video.error.message}</p>`}`;
  }
  if (video.status !== "completed") {
    const now = video.status === "queued" ? say("waiting") : `${say("forming")} · ${video.progress} %`;
    return html`<p class="verdict" aria-live="polite">${now}</p>`;
  }
  if (lost) return html`<p class="verdict unknown">${lost}</p>`;
  const { verdict, reasons } = video.judged;
  const kind = { yes: "yes", no: "no" }[verdict] || "unknown";
  const mark = { yes: "✓ ", no: "✗ " }[verdict] || "";
  return html`<p class="verdict ${kind}" aria-live="polite">${mark}${say(verdict)}</p>
    ${verdict === "no" && html`<p class="why">${reasons[0]}</p>`}`;
}
