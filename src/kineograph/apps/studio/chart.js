// Numbers over a training, as lines: several runs in one picture, each with its last value.

import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";

const HIGH = 200;
const EDGE = { left: 52, right: 12, top: 10, bottom: 26 };

const percent = (value) => `${Math.round(100 * value)} %`;
const plain = (value) => Number(value.toPrecision(3)).toLocaleString("en");

function ticks(low, high, log) {
  if (log) {
    const found = [];
    for (let power = Math.ceil(low); power <= high; power++) found.push(power);
    return found;
  }
  const raw = (high - low || 1) / 4;
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = size * [1, 2, 5, 10].find((each) => each * size >= raw);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step / 1e6; at += step) found.push(at);
  return found;
}

// `series` are [{name, x, y}]; `shares` are drawn from 0 to 100 %, others on a logarithmic axis
// where they span more than a decade above 0. `unit` says what x counts, which goes to `until` or as far as there is any.
export function Chart({ title, series, shares, unit, until = 1 }) {
  const place = useRef();
  const [wide, setWide] = useState(520);
  useEffect(() => {
    const seen = new ResizeObserver(([entry]) => setWide(Math.max(240, entry.contentRect.width)));
    seen.observe(place.current);
    return () => seen.disconnect();
  }, []);

  const shown = series.filter((each) => each.y.length);
  const values = shown.flatMap((each) => each.y);
  const log = !shares && Math.min(...values) > 0 && Math.max(...values) > 10 * Math.min(...values);
  const height = (value) => (log ? Math.log10(value) : value);
  const every = values.map(height);
  let [low, high] = shares ? [0, 1] : [Math.min(...every), Math.max(...every)];
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const end = Math.max(...shown.flatMap((each) => each.x), until);
  const [inner, tall] = [wide - EDGE.left - EDGE.right, HIGH - EDGE.top - EDGE.bottom];
  const x = (at) => EDGE.left + (at / end) * inner;
  const y = (value) => EDGE.top + (1 - (height(value) - low) / (high - low)) * tall;
  const written = shares ? percent : plain;
  const last = (each) => written(each.y[each.y.length - 1]);
  const told = shown.map((each) => `${each.name}: ${last(each)}`).join("; ");

  return html`<figure class="chart" ref=${place}>
    <figcaption>${title}</figcaption>
    ${shown.length > 0 &&
    html`<svg width=${wide} height=${HIGH} role="img" aria-label=${`${title}. ${told}`}>
      ${ticks(low, high, log).map((at) => {
        const value = log ? 10 ** at : at;
        return html`<g class="grid"><line x1=${EDGE.left} x2=${wide - EDGE.right} y1=${y(value)} y2=${y(value)} />
          <text x=${EDGE.left - 6} y=${y(value) + 4} text-anchor="end">${written(value)}</text></g>`;
      })}
      ${ticks(0, end).map((at) => html`<text class="grid" x=${x(at)} y=${HIGH - 8} text-anchor="middle">${plain(at)}</text>`)}
      ${shown.map((each, n) => {
        const points = each.x.map((at, i) => `${x(at)},${y(each.y[i])}`);
        return points.length > 1
          ? html`<polyline class=${`line c${n % 6}`} points=${points.join(" ")} />`
          : html`<circle class=${`line c${n % 6}`} cx=${x(each.x[0])} cy=${y(each.y[0])} r="3" />`;
      })}
    </svg>`}
    <ul class="legend">${shown.map((each, n) => html`<li><span class=${`swatch c${n % 6}`}></span>${each.name} <b>${last(each)}</b></li>`)}
      <li class="unit">${unit}</li></ul>
  </figure>`;
}
