// The start: choose data, and find again what was begun.

import { ask, dropped, send } from "./api.js";
import { choose } from "./choose.js";
import { bytes, h, icon, many, percent, problem, put, toast } from "/shared/dom.js";
import { ago, CHIPS, chipOf } from "./words.js";

export function homeView(main, { about, step }) {
  step(null);
  document.title = "headstart studio";
  const works = h("div", { class: "stack" });
  const sending = h("div", { "aria-live": "polite" });
  put(
    main,
    h(
      "div",
      { class: "stack wide" },
      h("div", { class: "intro stack" },
        h("h1", null, "From your own examples to a model you can trust"),
        h("p", { class: "muted lead" }, "Bring pictures, sounds, texts or a table that you have sorted. The studio trains a model, measures what it is worth, and says so honestly. Everything stays on this computer."),
      ),
      dropZone(about, sending),
      sending,
      h("section", { class: "stack", "aria-labelledby": "works" }, h("h2", { id: "works" }, "Your work"), works),
    ),
  );
  let timer = null;
  let shown = "";
  const refresh = async () => {
    const { jobs } = await ask("/api/jobs");
    const now = JSON.stringify(jobs);
    if (now !== shown) put(works, jobs.length ? h("ul", { class: "works" }, jobs.map((job) => workRow(job, refresh))) : nothing());
    shown = now;
  };
  const again = () => {
    timer = setTimeout(() => (document.hidden ? Promise.resolve() : refresh()).catch(() => {}).finally(again), 3000);
  };
  again();
  return { ready: refresh(), leave: () => clearTimeout(timer) };
}

function nothing() {
  return h("div", { class: "card empty" }, h("p", { class: "muted" }, "Nothing yet. What you fit will be listed here, and stays when you close the browser."));
}

function dropZone(about, sending) {
  const files = h("input", { type: "file", class: "unseen", tabindex: "-1", "aria-hidden": "true", multiple: true, id: "files" });
  const folder = h("input", { type: "file", class: "unseen", tabindex: "-1", "aria-hidden": "true", webkitdirectory: true, id: "folder" });
  const zone = h(
    "section",
    { class: "drop", "aria-label": "Choose data" },
    icon("drop"),
    h("div", { class: "stack tight" },
      h("h2", null, "Drop a folder, a zip file or a table here"),
      h("p", { class: "muted" }, "A folder with one sub-folder for each class, or a CSV, TSV, JSON Lines or Parquet file with a column of answers."),
    ),
    h("div", { class: "row middle" },
      h("button", { class: "button first", type: "button", onclick: () => choose(about, look) }, icon("folder"), "Choose on this computer"),
      h("button", { class: "button", type: "button", onclick: () => folder.click() }, "Upload a folder"),
      h("button", { class: "button", type: "button", onclick: () => files.click() }, "Upload a file"),
    ),
    h("p", { class: "small muted" }, `Uploads are copied to the studio's own folder: up to ${bytes(about.upload_bytes)}.`),
    files,
    folder,
  );
  const take = (list) => upload(list, sending, about);
  files.addEventListener("change", () => take([...files.files].map((file) => ({ file, name: file.name }))));
  folder.addEventListener("change", () =>
    take([...folder.files].map((file) => ({ file, name: file.webkitRelativePath || file.name })).filter((one) => !one.name.split("/").some((part) => part.startsWith(".")))));
  let depth = 0;
  zone.addEventListener("dragenter", () => zone.classList.toggle("over", ++depth > 0));
  zone.addEventListener("dragleave", () => zone.classList.toggle("over", --depth > 0));
  zone.addEventListener("dragover", (event) => event.preventDefault());
  zone.addEventListener("drop", async (event) => {
    event.preventDefault();
    depth = 0;
    zone.classList.remove("over");
    take(await dropped(event.dataTransfer));
  });
  return zone;
}

async function upload(files, sending, about) {
  if (!files.length) return toast("There was no file in it.");
  const total = files.reduce((sum, one) => sum + one.file.size, 0);
  if (files.length > about.upload_files || total > about.upload_bytes) {
    return put(sending, problem({ message: `That is too much to upload: ${many(files.length, "file")}, ${bytes(total)}.`, hint: "Choose the folder on this computer instead: then nothing is copied." }));
  }
  const stop = new AbortController();
  const line = h("p", { class: "number" }, `Sending ${many(files.length, "file")} …`);
  const filled = h("span", { class: "fill" });
  put(sending, h("div", { class: "card stack sending" }, h("div", { class: "row apart" }, line, h("button", { class: "button plain", type: "button", onclick: () => stop.abort() }, "Cancel")), h("div", { class: "track" }, filled)));
  try {
    const path = await send(files, ({ done, sent }) => {
      line.textContent = `Sending: ${done.toLocaleString("en")} of ${many(files.length, "file")}, ${bytes(sent)} of ${bytes(total)}`;
      filled.style.width = percent(total ? sent / total : 1).replace(" ", "");
    }, stop.signal);
    await look(path);
  } catch (error) {
    put(sending, error.name === "AbortError" ? null : problem(error));
  }
  return null;
}

/** Look into data, and go to the view that shows what is in them. */
async function look(path) {
  const { job } = await ask("/api/looks", { method: "POST", json: { data: path } });
  location.hash = `#/data/${job}`;
}

function workRow(job, refresh) {
  const going = CHIPS[job.state]?.going;
  const remove = async () => {
    if (!confirm(`Delete ${job.name} with its model?`)) return;
    try {
      await ask(`/api/jobs/${job.id}`, { method: "DELETE" });
      await refresh();
    } catch (error) {
      toast(error.message);
    }
  };
  return h(
    "li",
    { class: "card work" },
    h("div", { class: "what stack tight" },
      h("div", { class: "row" }, h("a", { class: "title", href: `#/work/${job.id}` }, job.name), chipOf(job.state)),
      h("p", { class: "muted" }, job.headline || job.error?.what || (going ? "Training and measuring …" : "No model came of it.")),
      h("p", { class: "small muted" }, `begun ${ago(job.made)}`),
    ),
    h("div", { class: "row actions" },
      job.model ? h("a", { class: "button", href: `/try/${job.id}/` }, "Try it") : null,
      h("a", { class: "button plain", href: `#/work/${job.id}` }, going ? "Watch" : "Open"),
      going ? null : h("button", { class: "button plain danger", type: "button", onclick: remove, "aria-label": `Delete ${job.name}` }, "Delete"),
    ),
  );
}
