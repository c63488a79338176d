// Data: what is in them, what is wrong with them, and what a fit should do with them.

import { ask, follow, sentence } from "./api.js";
import { fitForm } from "./options.js";
import { bar, h, icon, many, problem, put, shown } from "/shared/dom.js";
import { CHIPS, ITEMS } from "./words.js";

export function dataView(main, { id, about, step }) {
  step(0);
  const state = { job: null, columns: null, seen: null, checked: null, stage: "", ended: null, error: null };
  const view = {
    title: h("h1", null, "Your data"),
    where: h("p", { class: "muted path" }),
    seen: h("div", { class: "stack wide" }),
    found: h("section", { class: "card stack", "aria-labelledby": "found" }),
    fit: h("aside", { class: "fit", "aria-label": "Fit" }),
  };
  put(main, h("div", { class: "stack wide" }, h("header", { class: "stack tight" }, view.title, view.where), h("div", { class: "two" }, h("div", { class: "stack wide" }, view.seen, view.found), view.fit)));
  let stop = () => {};
  const hear = (event) => {
    if (event.event === "columns") state.columns = event;
    else if (event.event === "seen") state.seen = event;
    else if (event.event === "checked") state.checked = event;
    else if (event.event === "progress") state.stage = event.stage;
    else if (event.event === "ended") state.ended = event;
    draw(view, state, event.event, about);
  };
  const ready = ask(`/api/jobs/${id}`).then((job) => {
    state.job = job;
    document.title = `${job.name} · headstart studio`;
    view.title.textContent = job.name;
    view.where.textContent = job.data;
    draw(view, state, "start", about);
    stop = follow(id, hear, () => draw(view, state, "end", about), () => {});
  });
  return { ready, leave: () => stop() };
}

function draw(view, state, what, about) {
  if (what !== "progress") drawSeen(view.seen, state);
  drawFound(view.found, state);
  if (["start", "columns", "seen", "ended"].includes(what)) put(view.fit, fitForm(state, about));
}

function drawSeen(place, state) {
  if (!state.seen) {
    const failed = state.ended?.error;
    return put(
      place,
      failed ? problem({ message: sentence(failed.what), where: [failed.where, failed.got].filter(Boolean).join(": "), hint: failed.hint ? sentence(failed.hint) : state.columns ? "Say which column holds the answer, and read it again." : null }) : waiting("Reading your data …"),
      state.columns ? firstRows(state.columns) : null,
    );
  }
  const seen = state.seen;
  const noun = ITEMS[seen.modality];
  const facts = [
    [shown(seen.n), plural(noun, seen.n)],
    seen.kind === "classification" ? [shown(seen.n_classes), seen.n_classes === 1 ? "class" : "classes"] : [shown(seen.values?.[1]), `median of ${seen.label}`],
    seen.n_test ? [shown(seen.n_test), "set apart as a test part"] : null,
    seen.unlabelled ? [shown(seen.unlabelled), "without an answer"] : null,
    seen.n_skipped ? [shown(seen.n_skipped), "left out"] : null,
  ];
  return put(
    place,
    h("dl", { class: "tiles" }, facts.filter(Boolean).map(([number, name]) => h("div", { class: "tile" }, h("dd", { class: "number" }, number), h("dt", null, name)))),
    h(
      "section",
      { class: "card stack", "aria-labelledby": "in" },
      h("h2", { id: "in" }, "What is in it"),
      seen.kind === "classification" ? classBars(seen) : h("p", null, `A number is to be predicted: ${seen.label}, from ${shown(seen.values?.[0])} to ${shown(seen.values?.[2])}.`),
      seen.samples.length ? samples(seen, state.job.id) : null,
      state.columns && seen.modality === "table" ? null : null,
      seen.decisions.length ? h("details", null, h("summary", null, "How it was read"), h("ul", { class: "lines small muted" }, seen.decisions.map((line) => h("li", null, sentence(line))))) : null,
    ),
  );
}

function plural(noun, n) {
  return many(n, noun).replace(/^\S+ /, "");
}

function waiting(text) {
  return h("div", { class: "card row", role: "status" }, h("span", { class: "spin" }), h("span", null, text));
}

function classBars(seen) {
  const most = Math.max(...seen.classes.map((one) => one.n));
  const few = 8;
  const rows = (list) => list.map((one) => bar(one.name, one.n / most, one.n.toLocaleString("en")));
  const rest = seen.classes.slice(few);
  return h(
    "div",
    { class: "stack tight" },
    h("ul", { class: "bars", "aria-label": "Classes, and how many items of each" }, rows(seen.classes.slice(0, few))),
    rest.length ? h("details", null, h("summary", null, `${many(seen.n_classes - few, "more class").replace("classs", "classes")}`), h("ul", { class: "bars below" }, rows(rest))) : null,
  );
}

function samples(seen, job) {
  const file = (one) => `/api/jobs/${job}/samples/${one.file}`;
  if (seen.modality === "image") {
    return h("ul", { class: "pictures", "aria-label": "Examples" }, seen.samples.map((one) => h("li", null, h("figure", null, h("img", { src: file(one), alt: `Example of ${one.label}`, loading: "lazy", width: one.width, height: one.height }), h("figcaption", { title: one.id }, String(one.label))))));
  }
  if (seen.modality === "audio") {
    return h("ul", { class: "sounds", "aria-label": "Examples" }, seen.samples.slice(0, 12).map((one) => h("li", null, h("span", { class: "name", title: one.id }, String(one.label)), h("audio", { controls: true, preload: "none", src: file(one) }))));
  }
  if (seen.modality === "text") {
    return h("ul", { class: "texts", "aria-label": "Examples" }, seen.samples.slice(0, 12).map((one) => h("li", null, h("span", { class: "chip" }, shown(one.label)), h("p", null, one.text))));
  }
  const names = Object.keys(seen.samples[0].values || {}).slice(0, 12);
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Example rows" }, h("table", null, h("thead", null, h("tr", null, h("th", null, seen.label), names.map((name) => h("th", null, name)))), h("tbody", null, seen.samples.slice(0, 8).map((one) => h("tr", null, h("td", null, h("strong", null, shown(one.label))), names.map((name) => h("td", null, shown(one.values[name]))))))));
}

function firstRows(columns) {
  const names = columns.names.slice(0, 12);
  return h("section", { class: "card stack" }, h("h2", null, "The first rows"), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "The first rows" }, h("table", null, h("thead", null, h("tr", null, names.map((name) => h("th", null, name)))), h("tbody", null, columns.rows.map((row) => h("tr", null, row.slice(0, 12).map((cell) => h("td", null, shown(cell)))))))));
}

const SEVERITY = { error: ["bad", "stop", "Problem"], warning: ["warn", "warn", "Look at this"], info: ["", "info", "Good to know"] };

function drawFound(place, state) {
  const title = h("h2", { id: "found" }, "What is wrong with it");
  place.hidden = false;
  if (state.checked) {
    const { findings } = state.checked;
    return put(place, title, findings.length ? h("ul", { class: "stack" }, findings.map(finding)) : h("p", { class: "row good" }, icon("check"), "Nothing was found. Copies, unreadable items, odd classes and suspect labels were looked for."));
  }
  if (state.ended || (state.job && !CHIPS[state.job.state]?.going && state.job.state !== "done")) {
    place.hidden = !state.seen;
    const failed = state.ended?.error;
    return put(place, title, failed ? problem({ message: `The check did not come to its end: ${failed.what}`, hint: failed.hint }) : h("p", { class: "muted" }, "The check was stopped."));
  }
  place.hidden = !state.seen;
  const line = place.querySelector("[data-stage]");
  if (line) line.textContent = state.stage ? `${sentence(state.stage)} …` : "Looking …";
  else put(place, title, h("p", { class: "row", role: "status" }, h("span", { class: "spin" }), h("span", { "data-stage": "" }, "Looking …")), h("p", { class: "small muted" }, "You need not wait for it: fit whenever you like."));
  return place;
}

function finding(one) {
  const [kind, sign, word] = SEVERITY[one.severity];
  const rows = one.items.map((item, place) => h("li", null, h("code", null, item), one.notes[place] ? h("span", { class: "muted" }, ` ${one.notes[place]}`) : null));
  return h(
    "li",
    { class: `note finding ${kind}` },
    h("div", { class: "row head" }, icon(sign), h("strong", null, sentence(one.text)), h("span", { class: "unseen" }, word)),
    h("p", null, sentence(one.advice)),
    rows.length ? h("details", null, h("summary", null, one.count > rows.length ? `Show ${rows.length} of ${one.count.toLocaleString("en")}` : `Show ${many(rows.length, "of them").replace("of thems", "of them")}`), h("ul", { class: "lines small" }, rows)) : null,
  );
}
