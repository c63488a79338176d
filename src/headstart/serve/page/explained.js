// Why: which parts of an item speak for the answer. All weights are falls of its probability.

import { h, percent, put, shown } from "./dom.js";

/** Return the view of an explanation; that of a picture is laid over the picture itself. */
export function explained(found, item, picture) {
  const show = { image: ofPicture, text: ofText, row: ofRow, sound: ofSound }[found.kind];
  return h("section", { class: "stack" }, h("h3", null, "What speaks for it"), show ? show(found, item, picture) : null);
}

const FAINT = 0.02; // a fall of the probability that is hardly one: weights below are painted faintly

function largest(weights) {
  return Math.max(...weights.map(Math.abs), FAINT);
}

function how(what) {
  return h("p", { class: "small muted" }, `Each ${what} was hidden in turn: the more the answer loses, the stronger the colour. Striped parts speak against it.`);
}

/** Paint an element by its weight: strong where it speaks for the answer, striped where against. */
function painted(element, weight, most) {
  element.classList.add(weight < 0 ? "against" : "for");
  element.style.setProperty("--strength", Math.min(1, Math.abs(weight) / most).toFixed(3));
  return element;
}

function ofPicture(found, item, picture) {
  const flat = found.weights.flat();
  const most = largest(flat);
  const columns = found.weights[0].length;
  const heat = h("div", { class: "heat", "aria-hidden": "true" }, found.weights.map((row) => row.map((weight) => painted(h("span"), weight, most))));
  heat.style.gridTemplateColumns = `repeat(${columns}, 1fr)`;
  picture.querySelector(".heat")?.remove();
  picture.querySelector(".shown")?.append(heat);
  const show = h("input", { type: "checkbox", checked: true, onchange: (event) => { heat.hidden = !event.target.checked; } });
  const at = flat.indexOf(Math.max(...flat));
  return h("div", { class: "stack tight" }, h("p", null, flat[at] >= FAINT ? `It looks mostly ${placeOf(Math.floor(at / columns), at % columns, found.weights.length, columns)}: without that part the answer would lose ${percent(flat[at])}.` : "No part alone makes the answer."), how("part"), h("label", { class: "row small" }, show, "Show it on the picture"));
}

function placeOf(row, column, rows, columns) {
  const vertical = ["at the top", "in the middle", "at the bottom"][Math.min(2, Math.floor((3 * row) / rows))];
  const side = ["left", "", "right"][Math.min(2, Math.floor((3 * column) / columns))];
  return side ? `${vertical} ${side}`.replace("in the middle", "at the middle") : vertical;
}

function ofText(found) {
  const most = largest(found.tokens.map((token) => token.weight));
  const words = found.tokens.map((token) => wordOf(token, most));
  const strongest = found.tokens.filter((token) => token.weight >= FAINT && token.text.trim()).sort((a, b) => b.weight - a.weight).slice(0, 3).map((token) => `“${token.text.trim()}”`);
  return h("div", { class: "stack tight" }, h("p", { class: "words" }, words), strongest.length ? h("p", null, `Most of all: ${strongest.join(", ")}.`) : null, how("word"));
}

/** A word painted by its weight, the blanks around it not. */
function wordOf(token, most) {
  const word = token.text.trim();
  if (!word) return token.text;
  const at = token.text.indexOf(word);
  const title = `${token.weight < 0 ? "speaks against: " : ""}${percent(Math.abs(token.weight), 1)}`;
  return [token.text.slice(0, at), painted(h("mark", { title }, word), token.weight, most), token.text.slice(at + word.length)];
}

function ofRow(found) {
  const rows = [...found.columns].sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight));
  const most = largest(rows.map((row) => row.weight));
  const line = (row) => signed(`${row.name}: ${row.value === null ? "not known" : shown(row.value)}`, row.weight, most);
  const rest = rows.slice(8);
  return h("div", { class: "stack tight" }, h("ul", { class: "bars signed" }, rows.slice(0, 8).map(line)), rest.length ? h("details", null, h("summary", null, `${rest.length} more`), h("ul", { class: "bars signed below" }, rest.map(line))) : null, how("column"));
}

function ofSound(found) {
  const most = largest(found.windows.map((window) => window.weight));
  const strip = h("div", { class: "strip", "aria-hidden": "true" }, found.windows.map((window) => {
    const part = painted(h("span", { title: `${window.start.toFixed(1)} to ${window.end.toFixed(1)} s` }), window.weight, most);
    part.style.flexGrow = String(window.end - window.start);
    return part;
  }));
  const best = found.windows.reduce((a, b) => (b.weight > a.weight ? b : a), { weight: -Infinity });
  return h("div", { class: "stack tight" }, strip, h("p", null, best.weight >= FAINT ? `It listens mostly between ${best.start.toFixed(1)} and ${best.end.toFixed(1)} s.` : "No part alone makes the answer."), how("stretch of time"));
}

function signed(name, weight, most) {
  const filled = painted(h("span", { class: "fill", "width%": (100 * Math.abs(weight)) / most }), weight, most);
  const row = h("li", { class: "bar" }, h("span", { class: "name", title: name }, name), h("span", { class: "value" }, `${weight < 0 ? "against " : ""}${percent(Math.abs(weight), 1)}`), h("span", { class: "track", "aria-hidden": "true" }));
  put(row.lastChild, filled);
  return row;
}
