// Where something is given to the model: dropped, pasted, chosen, written.

import { cellOf, inColumn, itemsOf } from "./items.js";
import { h, icon, problem, put } from "./dom.js";

const WORDS = {
  image: { drop: "Drop pictures here", or: "or paste one", accept: "image/*", button: "Choose pictures" },
  audio: { drop: "Drop recordings here", or: "wav, flac, ogg or mp3", accept: "audio/*", button: "Choose recordings" },
  text: { drop: "Many at once?", or: "Drop a CSV, JSON Lines or text file", accept: ".csv,.tsv,.tab,.jsonl,.ndjson,.txt", button: "Choose a file" },
  table: { drop: "Many rows at once?", or: "Drop a CSV or JSON Lines file", accept: ".csv,.tsv,.tab,.jsonl,.ndjson", button: "Choose a file" },
};

/** Return the card that takes items; calls `give` with them. */
export function composer(info, give) {
  const { modality } = info.task;
  const trouble = h("div", { "aria-live": "assertive" });
  const take = async (files) => {
    if (!files.length) return;
    put(trouble);
    try {
      const found = await itemsOf([...files], info);
      if (Array.isArray(found)) give(found);
      else put(trouble, columnChoice(found, (items) => { put(trouble); give(items); }));
    } catch (error) {
      put(trouble, problem(error));
    }
  };
  const filesFirst = modality === "image" || modality === "audio";
  const card = h(
    "section",
    { class: "composer stack", "aria-label": "Ask the model" },
    modality === "text" ? textForm(give) : modality === "table" ? rowForm(info, give) : null,
    dropZone(WORDS[modality], take, filesFirst),
    trouble,
  );
  window.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files || [])];
    if (files.length) {
      event.preventDefault();
      take(files);
    }
  });
  window.addEventListener("drop", (event) => take([...(event.dataTransfer?.files || [])]));
  return card;
}

function dropZone(words, take, large) {
  const input = h("input", { type: "file", class: "unseen", tabindex: "-1", "aria-hidden": "true", multiple: true, accept: words.accept, id: "files" });
  const zone = h(
    "div",
    { class: large ? "drop" : "drop little" },
    large ? icon("drop") : null,
    h("div", { class: "stack tight" }, h(large ? "h2" : "h3", null, words.drop), h("p", { class: "muted small" }, words.or)),
    h("button", { class: large ? "button first" : "button", type: "button", onclick: () => input.click() }, words.button),
    input,
  );
  input.addEventListener("change", () => {
    take([...input.files]);
    input.value = "";
  });
  let depth = 0;
  window.addEventListener("dragenter", () => zone.classList.toggle("over", ++depth > 0));
  window.addEventListener("dragleave", () => zone.classList.toggle("over", --depth > 0));
  window.addEventListener("drop", () => {
    depth = 0;
    zone.classList.remove("over");
  });
  return zone;
}

function textForm(give) {
  const field = h("textarea", { class: "input", id: "text", name: "text", placeholder: "Write or paste a text", rows: "5" });
  const form = h(
    "form",
    { class: "card stack" },
    h("label", { class: "field", for: "text" }, h("span", null, "Your text")),
    field,
    h("div", { class: "row apart" }, h("span", { class: "small muted keys" }, "Ctrl + Enter asks"), h("button", { class: "button first", type: "submit" }, "Ask the model")),
  );
  const submit = () => (field.value.trim() ? give([{ name: "text", text: field.value }]) : field.focus());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit();
  });
  return form;
}

function rowForm(info, give) {
  const { columns } = info.task;
  const fields = columns.map(({ name, type }) => h("label", { class: "field" }, h("span", null, name), h("input", { class: "input", name, type: "text", inputmode: cellOf("1", type) === 1 ? "decimal" : null, autocomplete: "off", placeholder: "not known" })));
  const form = h("form", { class: "card stack" }, h("h2", null, "One row"), h("div", { class: "cells" }, fields), h("button", { class: "button first", type: "submit" }, "Ask the model"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const values = {};
    columns.forEach(({ name, type }, at) => { values[name] = cellOf(fields[at].querySelector("input").value.trim(), type); });
    give([{ name: "row", values }]);
  });
  return form;
}

function columnChoice({ rows, columns }, chosen) {
  const select = h("select", { class: "input", id: "column" }, columns.map((name) => h("option", { value: name }, name)));
  return h(
    "div",
    { class: "card stack" },
    h("label", { class: "field" }, h("span", null, "Which column holds the texts?"), select),
    h("button", { class: "button first", type: "button", onclick: () => chosen(inColumn(rows, select.value)) }, "Ask the model"),
  );
}
