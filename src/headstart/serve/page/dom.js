// Elements without innerHTML: whatever comes from data becomes text, never markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "text") element.textContent = value;
    else if (name === "value" || name === "checked" || name === "disabled" || name === "selected") element[name] = value;
    else if (name === "width%") element.style.width = `${value}%`;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

/** Make an HTML element: h("p", {class: "muted", onclick: f}, "text", other). */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** Make an SVG element. */
export function s(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

const PATHS = {
  drop: "M12 3v11m0 0 4-4m-4 4-4-4M4 16v3a2 2 0 0 0 2 2h12a2 2 0 0 0 2-2v-3",
  folder: "M3 7a2 2 0 0 1 2-2h4l2 2h8a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2z",
  file: "M7 3h7l5 5v11a2 2 0 0 1-2 2H7a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2zm7 0v5h5",
  check: "M5 13l4 4L19 7",
  warn: "M12 9v4m0 4h.01M10.3 4 2.6 17.5A2 2 0 0 0 4.3 20.5h15.4a2 2 0 0 0 1.7-3L13.7 4a2 2 0 0 0-3.4 0z",
  stop: "M12 8v5m0 3h.01M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18z",
  info: "M12 11v5m0-8h.01M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18z",
  back: "M15 5l-7 7 7 7",
  close: "M6 6l12 12M18 6 6 18",
};

/** Make an icon of those above; it says nothing to a screen reader. */
export function icon(name, size = 20) {
  return s(
    "svg",
    { viewBox: "0 0 24 24", width: size, height: size, fill: "none", stroke: "currentColor", "stroke-width": 1.8, "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true" },
    s("path", { d: PATHS[name] }),
  );
}

/** Put new children in the place of the old ones. */
export function put(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const WHOLE = new Intl.NumberFormat("en");

/** A whole number with its noun: "1 picture", "1,200 pictures". */
export function many(n, noun) {
  const plural = noun.endsWith("y") ? `${noun.slice(0, -1)}ies` : noun.endsWith("s") ? `${noun}es` : `${noun}s`;
  return `${WHOLE.format(n)} ${n === 1 ? noun : plural}`;
}

/** A share as percent. */
export function percent(share, digits = 0) {
  return `${(100 * share).toFixed(digits)} %`;
}

/** A number as people read it. */
export function shown(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e15) return WHOLE.format(value);
  return size >= 1000 ? WHOLE.format(Math.round(value)) : String(Number(value.toPrecision(4)));
}

/** Bytes as people read them. */
export function bytes(n) {
  const units = ["bytes", "kB", "MB", "GB"];
  let place = 0;
  while (n >= 1000 && place < units.length - 1) {
    n /= 1000;
    place += 1;
  }
  return `${n < 10 && place ? n.toFixed(1) : Math.round(n)} ${units[place]}`;
}

/** One bar with a name and a value; share is 0 to 1. */
export function bar(name, share, value, best = false) {
  const width = Math.max(0, Math.min(1, share || 0)) * 100;
  return h(
    "li",
    { class: best ? "bar best" : "bar" },
    h("span", { class: "name", title: name }, name),
    h("span", { class: "value" }, value),
    h("span", { class: "track", "aria-hidden": "true" }, h("span", { class: "fill", "width%": width })),
  );
}

/** Say a short line at the bottom for a while, to screen readers too. */
export function toast(text) {
  document.querySelector(".toast")?.remove();
  const said = h("div", { class: "toast", role: "status" }, text);
  document.body.append(said);
  setTimeout(() => said.remove(), 6000);
}

/** A problem as a note: what is wrong, and what to do next. */
export function problem(error) {
  return h(
    "div",
    { class: "note bad", role: "alert" },
    h("strong", null, error.message || "Something went wrong."),
    error.where ? h("p", { class: "small" }, error.where) : null,
    error.hint ? h("p", null, error.hint) : null,
  );
}
