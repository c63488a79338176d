// Choosing a folder or a table file on this computer.

import { ask } from "./api.js";
import { bytes, h, icon, problem, put } from "/shared/dom.js";

/** Open the chooser; calls `chosen` with the path. */
export function choose(about, chosen) {
  const trail = h("nav", { class: "trail", "aria-label": "Folders above" });
  const list = h("ul", { class: "entries" });
  const use = h("button", { class: "button first", type: "button", onclick: () => take(here) }, "Use this folder");
  const dialog = h(
    "dialog",
    { class: "chooser", "aria-label": "Choose a folder or a table" },
    h("div", { class: "row apart head" }, h("h2", null, "Choose a folder or a table"), h("button", { class: "button plain round", type: "button", "aria-label": "Close", onclick: () => dialog.close() }, icon("close"))),
    trail,
    list,
    h("div", { class: "row apart foot" }, h("p", { class: "small muted" }, "A folder with a sub-folder for each class, or a table file."), use),
  );
  let here = null;
  const take = async (path) => {
    try {
      await chosen(path);
      dialog.close();
    } catch (error) {
      put(list, h("li", null, problem(error)));
    }
  };
  const open = async (path) => {
    put(list, h("li", { class: "row muted" }, h("span", { class: "spin" }), "Reading …"));
    try {
      const found = await ask(`/api/files${path ? `?path=${encodeURIComponent(path)}` : ""}`);
      here = found.path;
      put(trail, found.trail.map((one, place) => [place ? h("span", { "aria-hidden": "true" }, "/") : null, h("button", { type: "button", class: "crumb", onclick: () => open(one.path) }, one.name)]));
      put(list, found.entries.length ? found.entries.map((one) => entry(one, open, take)) : h("li", { class: "muted" }, "There is nothing in this folder."));
      if (found.more) list.append(h("li", { class: "muted" }, `… and ${found.more} more`));
      list.scrollTop = 0;
      list.querySelector("button:not(:disabled)")?.focus();
    } catch (error) {
      put(list, h("li", null, problem(error)));
    }
  };
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  open(null);
}

function entry(one, open, take) {
  const folder = one.kind === "folder";
  return h(
    "li",
    null,
    h(
      "button",
      { type: "button", class: "entry", disabled: !one.usable, onclick: () => (folder ? open(one.path) : take(one.path)) },
      icon(folder ? "folder" : "file"),
      h("span", { class: "name" }, one.name),
      h("span", { class: "small muted number" }, folder ? "" : bytes(one.bytes || 0)),
    ),
  );
}
