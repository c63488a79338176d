// One answer: the item, what the model says, how sure it is, why, what is like it, and what is right.

import { ask, bodyOf } from "./ask.js";
import { bar, h, percent, problem, put, shown, toast } from "./dom.js";
import { explained } from "./explained.js";
import { preview } from "./preview.js";

const FIRST = 5;

/** Return the card of one answer. */
export function resultCard({ item, answer }, context) {
  const { info } = context;
  const picture = h("div", { class: "item" }, itemView(item));
  const why = h("div", { class: "stack" });
  return h(
    "article",
    { class: "card stack wide answer" },
    picture,
    verdict(answer, info),
    answer.confidence === null ? null : chances(answer),
    h("div", { class: "stack" }, h("div", { class: "row" }, whyButton(item, why, picture)), why),
    info.corrections ? correction(item, answer, context) : null,
  );
}

function itemView(item) {
  if (item.url && item.file.type.startsWith("audio/")) return h("audio", { controls: true, src: item.url, "aria-label": item.name });
  if (item.url) return h("figure", { class: "shown" }, h("img", { src: item.url, alt: `Your picture: ${item.name}` }));
  if (item.text !== undefined) return h("blockquote", { class: "quote" }, item.text);
  return h("dl", { class: "facts-list small" }, Object.entries(item.values).map(([name, value]) => [h("dt", null, name), h("dd", null, value === null ? "not known" : shown(value))]));
}

function verdict(answer, info) {
  const label = typeof answer.label === "number" ? shown(Number(answer.label.toPrecision(4))) : answer.label;
  const sure = answer.confidence === null ? null : percent(answer.confidence, answer.confidence > 0.995 && answer.confidence < 1 ? 1 : 0);
  if (answer.abstained) {
    return h("div", { class: "note warn" }, h("h2", { tabindex: "-1", class: "label" }, "Not sure enough"), h("p", null, sure ? `The model rather says nothing. Its best guess would be ${label}, at ${sure}.` : "The model rather says nothing."));
  }
  return h(
    "div",
    { class: "stack tight" },
    h("p", { class: "small muted" }, info.task.label && info.task.label !== "folder" && info.task.label !== "label" ? info.task.label : "The model says"),
    h("div", { class: "row" }, h("h2", { tabindex: "-1", class: "label" }, label), sure ? h("span", { class: "chip accent" }, `${sure} sure`) : null),
  );
}

function chances(answer) {
  const all = Object.entries(answer.probabilities).sort((a, b) => b[1] - a[1]);
  const row = ([name, p], place) => bar(name, p, percent(p, 1), place === 0);
  const rest = all.slice(FIRST);
  return h(
    "div",
    { class: "stack tight" },
    h("ul", { class: "bars", "aria-label": "How likely each class is" }, all.slice(0, FIRST).map(row)),
    rest.length ? h("details", null, h("summary", null, `${rest.length} more`), h("ul", { class: "bars below" }, rest.map((one) => row(one, 1)))) : null,
  );
}

function whyButton(item, place, picture) {
  const button = h("button", { class: "button", type: "button", "aria-expanded": "false" }, "Why?");
  button.addEventListener("click", async () => {
    button.disabled = true;
    put(place, h("p", { class: "row", role: "status" }, h("span", { class: "spin" }), "Hiding one part after another to see what counts …"));
    try {
      const found = await ask("explain", bodyOf([item]));
      put(place, found.explanation ? explained(found.explanation, item, picture) : null, found.nearest?.length ? nearest(found.nearest) : null);
      if (!place.childElementCount) put(place, h("p", { class: "muted" }, "This model cannot say why."));
      button.hidden = true;
    } catch (error) {
      put(place, error.status === 501 ? h("p", { class: "muted" }, `${error.message}.`) : problem(error));
      button.disabled = false;
    }
  });
  return button;
}

function nearest(list) {
  return h(
    "section",
    { class: "stack" },
    h("h3", null, "Most alike among the examples it learnt from"),
    h("ul", { class: "nearest" }, list.map((one) => h("li", { class: "stack tight" }, preview(one.preview), h("p", { class: "row" }, h("strong", null, shown(one.label)), h("span", { class: "small muted" }, `${percent(Math.max(0, one.similarity))} alike`))))),
  );
}

function correction(item, answer, context) {
  const { info } = context;
  const regression = !info.task.classes.length;
  const count = h("span", { class: "small muted", "data-corrections": "" });
  const tell = () => put(count, `${context.corrections()} stored`);
  const input = h("input", { class: "input", name: "right", list: "classes", required: true, maxlength: "200", type: regression ? "number" : "text", step: "any", autocomplete: "off", placeholder: regression ? "the right number" : "the right class" });
  const save = h("button", { class: "button", type: "submit" }, "Save");
  const trouble = h("div");
  const form = h(
    "form",
    { class: "stack tight" },
    h("label", { class: "field" }, h("span", null, "What is right?"), h("span", { class: "pair" }, input, save)),
    h("datalist", { id: "classes" }, info.task.classes.map((name) => h("option", { value: name }))),
    trouble,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    save.disabled = true;
    const label = regression && !item.file ? Number(input.value) : input.value.trim();
    try {
      const { n } = await ask("corrections", bodyOf([item], { label, predicted: answer.label }));
      context.corrected(n);
      tell();
      put(trouble, h("p", { class: "note good", role: "status" }, h("span", null, `Kept: this is ${label}.`)));
      toast("The correction is stored for the next fit.");
    } catch (error) {
      put(trouble, problem(error));
      save.disabled = false;
    }
  });
  tell();
  return h(
    "details",
    { class: "correct" },
    h("summary", null, "Is that wrong? ", count),
    h("div", { class: "stack below" }, form, h("details", { class: "small" }, h("summary", null, "What becomes of it"), h("p", { class: "muted below" }, "Nothing changes at once: corrections are appended to the file corrections.jsonl in the folder that the service was started with. It is data like any other: "), h("p", { class: "below" }, h("code", null, "headstart fit CORRECTIONS/corrections.jsonl -o NEW_MODEL")), h("p", { class: "muted below" }, "or add its rows to the data that the model was made from, and fit again."))),
  );
}
