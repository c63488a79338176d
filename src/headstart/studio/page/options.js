// What a fit should do, in plain words.

import { ask } from "./api.js";
import { h, problem, put } from "/shared/dom.js";
import { METRICS } from "./words.js";

const BUDGETS = [
  ["30s", "Half a minute: a first idea"],
  ["2m", "2 minutes: usually enough"],
  ["10m", "10 minutes: also tunes the source"],
  ["30m", "Half an hour"],
  ["2h", "2 hours: all that is worth trying"],
];

/** Return the card that starts a fit, for what is known of the data so far. */
export function fitForm(state, about) {
  const { columns, seen, job } = state;
  const failed = state.ended?.error && !seen;
  const form = h("form", { class: "card stack" });
  const trouble = h("div", { "aria-live": "assertive" });
  if (!seen && !(failed && columns)) {
    return put(form, h("h2", null, "Fit"), h("p", { class: "muted" }, failed ? "Data that cannot be read cannot be learnt from." : "As soon as your data are read."), failed ? h("a", { class: "button", href: "#/" }, "Choose other data") : null);
  }
  const fields = h("div", { class: "stack" }, columns ? columnFields(columns, seen, job) : null, seen ? optionFields(seen, about, columns) : null);
  const go = h("button", { class: "button first big", type: "submit" }, seen ? "Fit" : "Read again");
  put(
    form,
    h("h2", null, seen ? "Fit" : "How to read it"),
    fields,
    trouble,
    go,
    seen ? h("p", { class: "small muted" }, "Ways to learn race against each other, with and without a pretrained source. The better one is yours, with what it is worth, measured on examples that it has not seen.") : null,
  );
  form.addEventListener("change", (event) => {
    if (seen && event.target.dataset.reads !== undefined) reread(form, job, trouble);
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    go.disabled = true;
    put(trouble);
    try {
      if (!seen) await reread(form, job, trouble);
      else {
        const started = await ask("/api/jobs", { method: "POST", json: { ...reading(form, job), ...fitting(form), name: job.name } });
        location.hash = `#/work/${started.job}`;
      }
    } catch (error) {
      put(trouble, problem(error));
    } finally {
      go.disabled = false;
    }
  });
  return form;
}

function field(label, input, hint) {
  return h("label", { class: "field" }, h("span", null, label), input, hint ? h("small", null, hint) : null);
}

function select(name, options, chosen, reads = false) {
  return h("select", { class: "input", name, "data-reads": reads ? "" : null }, options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
}

function columnFields(columns, seen, job) {
  const names = columns.names.map((name) => [name, name]);
  const found = seen && columns.names.includes(seen.label) ? seen.label : "";
  return [
    field("Which column holds the answer?", select("label", [["", "Found out from the data"], ...names], job.label || found, true), "What the model is to predict."),
    h("details", { open: Boolean(job.text || job.path || job.group) },
      h("summary", null, "More about the columns"),
      h("div", { class: "stack below" },
        field("Which column holds the text?", select("text", [["", "Found out from the data"], ...names], job.text || "", true)),
        field("Rows that belong together", select("group", [["", "Each row stands for itself"], ...names], job.group || "", true), "A patient, a customer, a film: rows with the same value are never learnt from and judged at once."),
      ),
    ),
  ];
}

function optionFields(seen, about, columns) {
  const metrics = about.metrics.filter((one) => one.kinds.includes(seen.kind)).map((one) => [one.name, METRICS[one.name] || one.name]);
  const classes = seen.kind === "classification";
  return [
    field("How long may it take?", select("budget", BUDGETS, "2m"), "Much data may need longer than that for the least that has to be done."),
    h("details", null,
      h("summary", null, "More choices"),
      h("div", { class: "stack below" },
        classes ? field("Learn from only so many of each class", h("input", { class: "input", name: "shots", type: "number", min: "1", step: "1", placeholder: "all", inputmode: "numeric" }), "The others then judge. Shows what few examples are worth.") : null,
        field("What counts?", select("metric", [["", "Found out from the data"], ...metrics], "")),
        classes ? field("May it say that it does not know?", select("max_risk", [["", "No: it always answers"], ["0.01", "Yes: at most 1 of 100 answers wrong"], ["0.05", "Yes: at most 5 of 100 answers wrong"], ["0.1", "Yes: at most 10 of 100 answers wrong"]], "")) : null,
        columns ? null : field("Files that belong together", h("input", { class: "input", name: "group", type: "text", placeholder: "each stands for itself", "data-reads": "" }), "A pattern in the file's path, such as (slide\\d+): files of the same slide are never learnt from and judged at once."),
        field("Seed of chance", h("input", { class: "input", name: "seed", type: "number", min: "0", step: "1", value: "0", inputmode: "numeric" }), "The same number gives the same model."),
      ),
    ),
  ];
}

function value(form, name) {
  return form.elements[name]?.value.trim() || null;
}

function reading(form, job) {
  const given = { data: job.data };
  for (const name of ["label", "text", "group"]) if (value(form, name)) given[name] = value(form, name);
  return given;
}

function fitting(form) {
  const given = { budget: value(form, "budget"), metric: value(form, "metric"), seed: Number(value(form, "seed") || 0) };
  if (value(form, "shots")) given.shots = Number(value(form, "shots"));
  if (value(form, "max_risk")) given.max_risk = Number(value(form, "max_risk"));
  return given;
}

/** Look into the same data again, with the columns that were named. */
async function reread(form, job, trouble) {
  try {
    const started = await ask("/api/looks", { method: "POST", json: { ...reading(form, job), name: job.name } });
    location.replace(`#/data/${started.job}`);
  } catch (error) {
    put(trouble, problem(error));
  }
}
