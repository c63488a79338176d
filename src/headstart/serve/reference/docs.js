"use strict";

function make(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function pathOf(path, verb) {
  let filled = path;
  for (const one of verb.parameters || []) {
    filled = filled.replace("{" + one.name + "}", encodeURIComponent(one.schema.enum[0]));
  }
  return filled;
}

async function ask(path, method, body, shown) {
  shown.hidden = false;
  shown.textContent = "asking";
  try {
    const options = { method };
    if (body !== null) {
      options.body = body;
      options.headers = { "Content-Type": "application/json" };
    }
    const begun = performance.now();
    const answer = await fetch(path, options);
    const text = await answer.text();
    let said = text;
    try { said = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON */ }
    const took = Math.round(performance.now() - begun);
    shown.textContent = answer.status + " " + answer.statusText + ", " + took + " ms\n\n" + said;
  } catch (error) {
    shown.textContent = "There was no answer: " + error.message;
  }
}

function entry(path, method, verb) {
  const whole = make("details");
  const head = make("summary");
  head.append(make("span", method.toUpperCase(), "verb " + method), make("code", path));
  head.append(make("span", verb.summary, "dim"));
  const inside = make("div", undefined, "inside");
  const filled = pathOf(path, verb);
  const json = verb.requestBody && verb.requestBody.content["application/json"];
  let body = null;
  if (json) {
    const label = make("label", "The body, as JSON");
    body = make("textarea");
    body.value = JSON.stringify(json.example || {}, null, 2);
    body.spellcheck = false;
    label.append(body);
    inside.append(label);
  }
  const button = make("button", "Try it");
  const shown = make("pre");
  shown.hidden = true;
  button.addEventListener("click", () => ask(filled, method.toUpperCase(), body ? body.value : null, shown));
  inside.append(button, shown);
  const answers = make("table");
  for (const [status, told] of Object.entries(verb.responses)) {
    const row = make("tr");
    row.append(make("td", status), make("td", told.description));
    answers.append(row);
  }
  inside.append(answers);
  const curl = json
    ? "curl " + location.origin + filled + " -H 'Content-Type: application/json' -d '" + JSON.stringify(json.example || {}) + "'"
    : "curl " + location.origin + filled;
  inside.append(make("pre", curl));
  whole.append(head, inside);
  return whole;
}

async function start() {
  const answer = await fetch("/openapi.json");
  const told = await answer.json();
  document.getElementById("title").textContent = told.info.title;
  document.getElementById("about").textContent = told.info.description;
  const place = document.getElementById("paths");
  place.textContent = "";
  for (const [path, verbs] of Object.entries(told.paths)) {
    for (const [method, verb] of Object.entries(verbs)) place.append(entry(path, method, verb));
  }
}

start().catch((error) => {
  document.getElementById("paths").textContent = "The list could not be loaded: " + error.message;
});
