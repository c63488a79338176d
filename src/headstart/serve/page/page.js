// The page of a served model: give it something, see what it says and why, put it right.

import { ask, bodyOf, parts } from "./ask.js";
import { batchCard } from "./batch.js";
import { composer } from "./composer.js";
import { h, icon, many, problem, put } from "./dom.js";
import { resultCard } from "./result.js";

const main = document.getElementById("main");
const state = { info: null, corrections: 0, stop: null };
const NOUNS = { image: "picture", audio: "recording", text: "text", table: "row" };

async function start() {
  const below = /\/try\/([^/]+)\/$/.exec(location.pathname);
  if (below) put(document.getElementById("end"), h("a", { class: "button plain", href: `/#/work/${below[1]}` }, icon("back", 16), "Back to the studio"));
  try {
    state.info = await ask("info");
    if (state.info.corrections) state.corrections = (await ask("corrections")).n;
    draw();
  } catch (error) {
    put(main, problem(error), h("p", null, h("button", { class: "button", type: "button", onclick: () => location.reload() }, "Try again")));
  }
}

function draw() {
  const { info } = state;
  const answer = h("div", { class: "stack wide", id: "answer", "aria-live": "polite" });
  put(
    main,
    h("div", { class: "stack wide" }, about(info), h("div", { class: "sides" }, composer(info, (items) => predict(items, answer)), answer)),
  );
  put(answer, empty(info));
}

function about(info) {
  const facts = [info.source ? `transferred from ${info.source}` : "made without transfer", info.task.classes.length > 2 ? many(info.task.classes.length, "class") : null];
  const [title, ...measured] = (info.headline || "").split(/:\s/);
  document.title = `${info.headline || "A model"} · headstart`.slice(0, 120);
  return h(
    "header",
    { class: "stack tight" },
    h("h1", null, title || `A model of ${many(2, NOUNS[info.task.modality]).slice(2)}`),
    measured.length ? h("p", { class: "muted" }, sentence(measured.join(": "))) : null,
    h("p", { class: "row facts" }, facts.filter(Boolean).map((fact) => h("span", { class: "chip" }, fact))),
    h("details", null, h("summary", null, "About this model"), details(info)),
  );
}

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1).replaceAll("_", " ");
}

function details(info) {
  const rows = [
    ["Model", info.model],
    ["Learnt by", info.strategy],
    ["Source", info.source],
    ["Licence of the source", info.licence],
    ["Classes", info.task.classes.join(", ")],
    ["Columns", info.task.columns.map((one) => one.name).join(", ")],
  ];
  return h("dl", { class: "facts-list small" }, rows.filter(([, value]) => value).map(([name, value]) => [h("dt", null, name), h("dd", null, String(value))]));
}

function empty(info) {
  const noun = NOUNS[info.task.modality];
  return h("div", { class: "card empty" }, h("p", { class: "muted" }, `The answer stands here: what the model says of your ${noun}, how sure it is, and why.`));
}

/** Ask the model about items, in parts that a request carries well. */
async function predict(items, place) {
  state.stop?.abort();
  const stop = new AbortController();
  state.stop = stop;
  const filled = h("span", { class: "fill" });
  const line = h("span", null, items.length === 1 ? "Asking the model …" : `Asking about ${many(items.length, NOUNS[state.info.task.modality])} …`);
  put(place, h("div", { class: "card stack", role: "status" }, h("p", { class: "row" }, h("span", { class: "spin" }), line, items.length > 1 ? h("button", { class: "button plain", type: "button", onclick: () => stop.abort() }, "Stop") : null), items.length > 1 ? h("div", { class: "track" }, filled) : null));
  const done = [];
  const failed = [];
  try {
    for (const part of parts(items, state.info.limits)) {
      try {
        const found = await ask("predict", { ...bodyOf(part), signal: stop.signal });
        part.forEach((item, at) => done.push({ item, answer: found.predictions[at] }));
      } catch (error) {
        if (error.name === "AbortError" || items.length === 1 || ![413, 415, 422].includes(error.status)) throw error;
        await oneByOne(part, done, failed, stop.signal);
      }
      filled.style.width = `${(100 * (done.length + failed.length)) / items.length}%`;
    }
    show(place, done, failed);
  } catch (error) {
    if (state.stop !== stop) return;
    if (done.length) show(place, done, failed, error.name === "AbortError" ? null : error);
    else put(place, error.name === "AbortError" ? empty(state.info) : problem(error));
  }
}

/** Where a part is refused for one of its items, the others still get their answer. */
async function oneByOne(part, done, failed, signal) {
  for (const item of part) {
    try {
      const found = await ask("predict", { ...bodyOf([item]), signal });
      done.push({ item, answer: found.predictions[0] });
    } catch (error) {
      if (error.name === "AbortError" || ![413, 415, 422].includes(error.status)) throw error;
      failed.push({ item, error });
    }
  }
}

function show(place, done, failed, error = null) {
  const context = { info: state.info, corrections: () => state.corrections, corrected: (n) => { state.corrections = n; } };
  if (done.length + failed.length === 1 && done.length) return put(place, error ? problem(error) : null, resultCard(done[0], context));
  const one = h("div", { id: "one" });
  return put(
    place,
    error ? problem(error) : null,
    batchCard(done, failed, state.info, (chosen) => {
      put(one, resultCard(chosen, context));
      one.scrollIntoView({ block: "nearest", behavior: "smooth" });
      one.querySelector("h2")?.focus();
    }),
    one,
  );
}

for (const name of ["dragover", "drop"]) window.addEventListener(name, (event) => event.preventDefault());
start();
