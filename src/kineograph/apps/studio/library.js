// All that was ever made and is still kept.

import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import * as api from "./api.js";
import { Card } from "./card.js";
import { reuse } from "./create.js";
import { useKept } from "./kept.js";
import { say } from "./words.js";

const AT_ONCE = 24;

export function Library({ models }) {
  const [filter, setFilter] = useState({ containing: "", model: "", favourites: false });
  const [videos, setVideos] = useState(null);
  const [more, setMore] = useState(false);
  const [trouble, setTrouble] = useState("");

  const [{ ids: compared }, setCompared] = useKept("compared", { ids: [] });
  const [beside, setBeside] = useState([]);
  const compare = (id) =>
    setCompared({ ids: compared.includes(id) ? compared.filter((each) => each !== id) : [...compared, id] });
  // Also where a filter leaves them out.
  useEffect(() => {
    let wanted = true;
    const known = compared.map((id) => api.video(id).catch(() => null));
    Promise.all(known).then((all) => wanted && setBeside(all.filter(Boolean)));
    return () => (wanted = false);
  }, [compared.join()]);

  const asked = useRef(0);
  const load = async (before) => {
    const mine = ++asked.current; // a later question has a later answer, whichever comes first
    try {
      const last = before && before[before.length - 1];
      const page = await api.videos({ ...filter, limit: AT_ONCE, after: last && last.id });
      if (mine !== asked.current) return;
      setVideos([...(before || []), ...page.data]);
      setMore(page.has_more);
      setTrouble("");
    } catch (error) {
      setTrouble(error.status ? error.message : say("away"));
    }
  };
  useEffect(() => {
    const timer = setTimeout(() => load(), videos ? 250 : 0);
    return () => clearTimeout(timer);
  }, [filter]);

  const set = (name) => (event) =>
    setFilter({ ...filter, [name]: event.target.type === "checkbox" ? event.target.checked : event.target.value });
  const filtered = filter.containing || filter.model || filter.favourites;

  const gone = (id) => {
    setVideos((all) => (all || []).filter((each) => each.id !== id));
    setCompared({ ids: compared.filter((each) => each !== id) });
  };
  const shown = (video) => html`<${Card} key=${video.id} first=${video} reuse=${reuse} gone=${gone}
    compare=${compare} compared=${compared.includes(video.id)} />`;

  return html`<div class="shelf">
    <form class="row" role="search" onSubmit=${(event) => event.preventDefault()}>
      <label class="wide">${say("search")}<input type="search" value=${filter.containing} onInput=${set("containing")} /></label>
      <label>${say("model")}
        <select value=${filter.model} onChange=${set("model")}>
          <option value="">${say("all")}</option>
          ${models.map((each) => html`<option value=${each.id}>${each.id}</option>`)}
        </select></label>
      <label class="check"><input type="checkbox" checked=${filter.favourites} onChange=${set("favourites")} />${say("onlyFavourites")}</label>
    </form>
    ${trouble && html`<p class="bad" role="alert">${trouble}</p>`}
    ${videos && videos.length === 0 && !more && html`<p class="empty">${say(filtered ? "emptySearch" : "emptyLibrary")}</p>`}
    ${beside.length > 0 && html`<section class="panel" aria-label=${say("compared")}>
      <h2>${say("compared")}</h2><div class="made">${beside.map(shown)}</div></section>`}
    <section class="made" aria-label=${say("library")}>
      ${(videos || []).filter((video) => !beside.some((each) => each.id === video.id)).map(shown)}
    </section>
    ${more && html`<button class="more" onClick=${() => load(videos)}>${say("more")}</button>`}
  </div>`;
}
