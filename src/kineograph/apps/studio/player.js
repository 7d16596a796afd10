// A clip that plays on a canvas, frame by frame, in step with all others on the page.

import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import * as api from "./api.js";
import { say } from "./words.js";

// Where a person wants things to stand still, a clip plays only when it is told to.
export const FIRST = matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : null;

// The frames of a finished job, from its sprite sheet: every pixel as it was made.
export async function framesOf(video) {
  const sheet = await createImageBitmap(await api.file(video.id, "png"));
  const width = sheet.width / video.num_frames;
  const cut = (_, n) => createImageBitmap(sheet, n * width, 0, width, sheet.height);
  const frames = await Promise.all(Array.from({ length: video.num_frames }, cut));
  sheet.close();
  return frames;
}

// `frame` null plays; a number stands still there. `paths` are lists of [x, y] in pixels.
export function Player({ frames, fps, frame, paths, label }) {
  const canvas = useRef();
  const [first] = frames;
  useEffect(() => {
    const context = canvas.current.getContext("2d");
    let next, shown = -1;
    const draw = () => {
      const playing = frame === null;
      const now = playing ? Math.floor((performance.now() * fps) / 1000) : frame || 0;
      if (now !== shown) {
        context.drawImage(frames[now % frames.length], 0, 0);
        shown = now;
      }
      if (playing) next = requestAnimationFrame(draw);
    };
    draw();
    return () => cancelAnimationFrame(next);
  }, [frames, fps, frame]);
  return html`<div class="screen">
    <canvas ref=${canvas} width=${first.width} height=${first.height} role="img" aria-label=${label} />
    ${paths && html`<svg class="path" viewBox="0 0 ${first.width} ${first.height}" aria-hidden="true">
      ${paths.map((points) => html`<polyline points=${points.map((p) => p.join(",")).join(" ")} />
        <circle cx=${points[0][0]} cy=${points[0][1]} r=${first.width / 45} />`)}
    </svg>`}
  </div>`;
}

// A clip that plays, or stands still, as one clicks on it.
export function Loop({ frames, fps, label }) {
  const [frame, setFrame] = useState(FIRST);
  const what = say(frame === null ? "pause" : "play");
  return html`<button class="loop" aria-label=${`${what}: ${label}`} title=${what} onClick=${() => setFrame(frame === null ? 0 : null)}>
    <${Player} frames=${frames} fps=${fps} frame=${frame} label=${label} /></button>`;
}

export function useFrames(video) {
  const [frames, setFrames] = useState(null);
  const [lost, setLost] = useState("");
  useEffect(() => {
    if (video.status !== "completed") return undefined;
    let [wanted, found, timer] = [true, [], 0];
    const load = async () => {
      try {
        found = await framesOf(video);
        if (wanted) setFrames(found);
        else found.forEach((each) => each.close());
      } catch (error) {
        if (!wanted) return;
        setLost(error.status === 410 ? error.message : "");
        if (error.status !== 410) timer = setTimeout(load, 2000);
      }
    };
    load();
    return () => {
      wanted = false;
      clearTimeout(timer);
      setFrames(null);
      found.forEach((each) => each.close());
    };
  }, [video.id, video.status]);
  return [frames, lost];
}
