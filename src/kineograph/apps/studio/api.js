// Everything that the page asks of the service, and nothing else does.

let key = localStorage.getItem("key") || "";

export class Failed extends Error {
  constructor(status, { message, code, param }) {
    super(message);
    Object.assign(this, { status, code, param });
  }
}

export function setKey(told) {
  if (!/^[\x21-\x7e]+$/.test(told)) throw new Failed(0, { message: "…" });
  key = told;
  localStorage.setItem("key", told);
}

const headers = () => (key ? { authorization: `Bearer ${key}` } : {});

async function ask(method, path, body) {
  const sent = { method, headers: headers() };
  if (body !== undefined) {
    sent.headers["content-type"] = "application/json";
    sent.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, sent);
  } catch {
    throw new Failed(0, { code: "unreachable", message: "" });
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  throw new Failed(answer.status, told.error || { code: "unexpected", message: answer.statusText });
}

const json = async (...asked) => (await ask(...asked)).json();

export const models = async () => (await json("GET", "/v1/models")).data;
export const words = (model, prompt) =>
  json("GET", `/v1/models/${encodeURIComponent(model)}/words?${new URLSearchParams({ prompt })}`);
export const duel = (model, seed) => json("GET", `/v1/models/${encodeURIComponent(model)}/duel?seed=${seed}`);
export const sources = () => json("GET", "/v1/sources");
export const checkFolder = (name) => json("GET", `/v1/folders/${encodeURIComponent(name)}/check`);
export const recipes = async () => (await json("GET", "/v1/recipes")).data;
export const runs = () => json("GET", "/v1/runs");
export const run = (name) => json("GET", `/v1/runs/${encodeURIComponent(name)}`);
export const startRun = (request) => json("POST", "/v1/runs", request);
export const changeRun = (name, action) => json("POST", `/v1/runs/${encodeURIComponent(name)}/${action}`);
export const create = (request) => json("POST", "/v1/videos", request);
export const video = (id) => json("GET", `/v1/videos/${id}`);
export const cancel = (id) => json("POST", `/v1/videos/${id}/cancel`);
export const remove = (id) => json("DELETE", `/v1/videos/${id}`);
export const favourite = (id, keep) => json("POST", `/v1/videos/${id}/favourite?keep=${keep}`);

const query = (told) => new URLSearchParams(Object.entries(told).filter(([, value]) => value));
export const videos = (told) => json("GET", `/v1/videos?${query(told)}`);
export const clips = (source, { source: _, ...told }) => json("GET", `/v1/sources/${source}/clips?${query(told)}`);

export const place = (id, form) =>
  `/v1/videos/${id}/content?${form === "png" ? "variant=spritesheet" : `format=${form}`}`;

const blob = async (path) => (await ask("GET", path)).blob();
export const file = (id, form) => blob(place(id, form));
export const sampleSheet = (name, step) => blob(`/v1/runs/${encodeURIComponent(name)}/samples/${step}`);

// Calls `on(name, data)` for each event of a job until it has ended. Where the service goes away it
// asks again, so that a page that is left open finds out how things went. A browser has few
// connections for all its tabs, so only some jobs are heard as they form; others are asked about.
const MOST_STREAMS = 3;
let streams = 0;

export async function follow(id, on, signal) {
  for (let wait = 250; !signal.aborted; wait = Math.min(2 * wait, 4000)) {
    try {
      if (streams < MOST_STREAMS) {
        if (await hear(id, on, signal)) return;
      } else {
        const told = await video(id);
        if (signal.aborted) return;
        on("progress", told);
        if (told.status === "completed" || told.status === "failed") return;
        wait = 250;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 404) return void on("progress", { id, gone: true });
    }
    await new Promise((done) => setTimeout(done, wait));
  }
}

export async function hear(id, on, signal) {
  streams += 1;
  try {
    const answer = await fetch(`/v1/videos/${id}/events`, { headers: headers(), signal });
    if (!answer.ok) throw new Failed(answer.status, { message: answer.statusText });
    return await read(answer.body, on);
  } finally {
    streams -= 1;
  }
}

async function read(body, on) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return false;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const name = /^event: (.*)$/m.exec(block);
      const data = /^data: (.*)$/m.exec(block);
      if (!name || !data) continue;
      on(name[1], JSON.parse(data[1]));
      if (name[1] === "done") return true;
    }
  }
}
