// The studio: which view is shown, and the way through them.

import { ask } from "./api.js";
import { dataView } from "./data.js";
import { h, problem, put } from "/shared/dom.js";
import { homeView } from "./home.js";
import { workView } from "./work.js";

const main = document.getElementById("main");
const steps = document.getElementById("steps");
const STEPS = ["Data", "Fit", "Model"];
let leave = null;
let turn = 0;

/** Show how far along the way a view is: 0 for the data, up to 2; null for none. */
export function step(place) {
  steps.hidden = place === null;
  put(
    steps,
    STEPS.map((name, number) => {
      const state = number < place ? "past" : number === place ? "now" : "next";
      return h("li", { class: state, "aria-current": state === "now" ? "step" : null }, h("span", null, String(number + 1)), name);
    }),
  );
}

async function show() {
  const mine = ++turn;
  leave?.();
  leave = null;
  const [, view, id] = location.hash.split("/");
  try {
    const about = await ask("/api/about");
    if (mine !== turn) return;
    const made = { data: dataView, work: workView }[view] || homeView;
    const started = made(main, { id: decodeURIComponent(id || ""), about, step });
    leave = started.leave;
    await started.ready;
  } catch (error) {
    if (mine === turn) put(main, problem(error));
  }
  if (mine === turn && document.activeElement === document.body) main.focus({ preventScroll: true });
}

window.addEventListener("hashchange", () => {
  window.scrollTo(0, 0);
  show();
});
// a file that misses its place must not make the browser leave the page
for (const name of ["dragover", "drop"]) window.addEventListener(name, (event) => event.preventDefault());
show();
