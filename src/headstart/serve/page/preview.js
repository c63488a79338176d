// A small view of an example that the model has kept.

import { h, shown } from "./dom.js";

const PICTURE = /^data:image\/(webp|png|jpeg);base64,/;
const SOUND = /^data:audio\//;

/** Return a view of a preview; nothing where there is none. */
export function preview(one) {
  if (!one) return h("p", { class: "muted small" }, "not kept");
  if (one.kind === "image" && PICTURE.test(one.src)) return h("img", { src: one.src, alt: "", width: one.width, height: one.height, loading: "lazy" });
  if (one.kind === "sound" && SOUND.test(one.src)) return h("audio", { controls: true, preload: "none", src: one.src });
  if (one.kind === "text") return h("p", { class: "quote small" }, one.text.trim());
  if (one.kind === "row") return h("dl", { class: "facts-list small" }, Object.entries(one.values).slice(0, 8).map(([name, value]) => [h("dt", null, name), h("dd", null, value === null ? "not known" : shown(value))]));
  return null;
}
