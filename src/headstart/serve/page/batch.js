// Many answers: how often each class, the list, and a file to take away.

import { bar, h, many, percent, shown } from "./dom.js";
import { csvOf } from "./items.js";

const SHOWN = 100;

/** Return the card of many answers; calls `open` with one that is chosen. */
export function batchCard(done, failed, info, open) {
  const list = h("tbody", null, done.slice(0, SHOWN).map((one) => row(one, open)));
  const more = h("button", { class: "button", type: "button", hidden: done.length <= SHOWN, onclick: () => {
    const at = list.childElementCount;
    list.append(...done.slice(at, at + SHOWN).map((one) => row(one, open)));
    more.hidden = list.childElementCount >= done.length;
  } }, "Show more");
  return h(
    "section",
    { class: "card stack wide", "aria-labelledby": "many" },
    h("div", { class: "row apart" }, h("h2", { id: "many" }, many(done.length, "answer")), done.length ? h("button", { class: "button first", type: "button", onclick: () => save(done, info) }, "Download as CSV") : null),
    failed.length ? trouble(failed) : null,
    info.task.classes.length && done.length ? counts(done) : null,
    done.length ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Answers" }, h("table", { class: "answers" }, h("thead", null, h("tr", null, h("th", { scope: "col" }, "Input"), h("th", { scope: "col" }, "Answer"), h("th", { scope: "col", class: "number" }, "Sure"))), list)) : null,
    more,
  );
}

function row(one, open) {
  const { item, answer } = one;
  const text = item.text ?? (item.values ? Object.values(item.values).map((value) => shown(value)).join(", ") : item.name);
  return h(
    "tr",
    null,
    h("td", null, h("button", { class: "link", type: "button", title: "Look closer", onclick: () => open(one) }, item.url && item.file.type.startsWith("image/") ? h("img", { src: item.url, alt: "", class: "thumb" }) : null, h("span", { class: "cut" }, text || "(empty)"))),
    h("td", null, answer.abstained ? h("span", { class: "chip warn" }, "not sure enough") : shown(typeof answer.label === "number" ? Number(answer.label.toPrecision(5)) : answer.label)),
    h("td", { class: "number" }, answer.confidence === null ? "" : percent(answer.confidence)),
  );
}

function counts(done) {
  const by = new Map();
  for (const { answer } of done) {
    const name = answer.abstained ? "not sure enough" : answer.label;
    by.set(name, (by.get(name) || 0) + 1);
  }
  const all = [...by].sort((a, b) => b[1] - a[1]);
  return h("ul", { class: "bars", "aria-label": "How often each answer" }, all.slice(0, 8).map(([name, n]) => bar(name, n / all[0][1], `${n.toLocaleString("en")}  (${percent(n / done.length)})`)));
}

function trouble(failed) {
  return h("details", { class: "note warn" }, h("summary", null, `${many(failed.length, "item")} could not be read`), h("ul", { class: "small" }, failed.slice(0, 50).map(({ item, error }) => h("li", null, `${item.name}: ${error.message}`))));
}

function save(done, info) {
  const url = URL.createObjectURL(new Blob([csvOf(done, info.task.classes)], { type: "text/csv" }));
  h("a", { href: url, download: "predictions.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
