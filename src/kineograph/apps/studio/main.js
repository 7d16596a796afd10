// The shell: which page is shown, in which language, and what stands above all of them.

import { html, render, useEffect, useState } from "./vendor/htm-preact.js";
import { languages, say, useLanguage } from "./words.js";
import { Create } from "./create.js";
import { Data } from "./data.js";
import { Explain } from "./explain.js";
import { Library } from "./library.js";
import { Train } from "./train.js";
import * as api from "./api.js";

const PAGES = { create: Create, library: Library, data: Data, train: Train, explain: Explain };

const page = () => {
  const name = location.hash.slice(1).split("?")[0];
  return PAGES[name] ? name : "create";
};

function Studio() {
  const [language, setLanguage] = useLanguage();
  const [shown, setShown] = useState(page());
  const [models, setModels] = useState(null);
  const [trouble, setTrouble] = useState(null);

  const look = () =>
    api.models().then(
      (found) => {
        setModels(found);
        setTrouble(null);
      },
      (error) => setTrouble(error),
    );
  useEffect(() => {
    const changed = () => {
      setShown(page());
      look(); // there may be a new model
    };
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  useEffect(() => {
    look();
    const seen = () => document.visibilityState === "visible" && look();
    addEventListener("visibilitychange", seen);
    return () => removeEventListener("visibilitychange", seen);
  }, []);
  useEffect(() => {
    if (!models || models.length) return undefined;
    const timer = setInterval(look, 3000);
    return () => clearInterval(timer);
  }, [models]);
  useEffect(() => {
    if (!trouble || trouble.status === 401) return undefined;
    const timer = setTimeout(look, 2000);
    return () => clearTimeout(timer);
  }, [trouble]);

  const Page = PAGES[shown];
  return html`<${Fragment}>
    <a class="skip" href="#main" onClick=${(event) => {
      event.preventDefault();
      document.getElementById("main").focus();
    }}>${say("skip")}</a>
    <header>
      <a class="brand" href="#create"><img src="icon.svg" alt="" width="26" height="26" /><span>Kineograph</span></a>
      <nav aria-label=${say("pages")}>
        ${Object.keys(PAGES).map(
          (name) => html`<a href="#${name}" aria-current=${name === shown ? "page" : undefined}>
            ${say(name)}
          </a>`,
        )}
      </nav>
      <label class="language"><span class="unseen">${say("language")}</span>
        <select value=${language} onChange=${(event) => setLanguage(event.target.value)}>
          ${Object.entries(languages).map(([code, name]) => html`<option value=${code}>${name}</option>`)}
        </select>
      </label>
    </header>
    <main id="main" tabindex="-1">
      ${trouble && html`<${Trouble} error=${trouble} again=${look} />`}
      ${models && html`<${Page} models=${models} />`}
      ${!models && !trouble && html`<p class="quiet">${say("loading")}</p>`}
    </main>
  <//>`;
}

const Fragment = ({ children }) => children;

function Trouble({ error, again }) {
  const [key, setKey] = useState("");
  if (error.status === 401) {
    const enter = (event) => {
      event.preventDefault();
      try {
        api.setKey(key);
        again();
      } catch {
        setKey("");
      }
    };
    return html`<form class="notice" onSubmit=${enter}>
      <label>${say("needsKey")}
        <input type="password" value=${key} onInput=${(event) => setKey(event.target.value)} required />
      </label>
      <button class="primary">${say("open")}</button>
    </form>`;
  }
  return html`<p class="notice" role="alert">${error.status ? error.message : say("away")}</p>`;
}

render(html`<${Studio} />`, document.body);
