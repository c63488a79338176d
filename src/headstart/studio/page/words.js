// Words for states and times.

import { h } from "/shared/dom.js";

export const CHIPS = {
  starting: { text: "starting", kind: "accent", going: true },
  waiting: { text: "waiting for its turn", kind: "accent", going: true },
  running: { text: "running", kind: "accent", going: true },
  done: { text: "done", kind: "good" },
  failed: { text: "did not work", kind: "bad" },
  stopping: { text: "stopping", kind: "warn", going: true },
  stopped: { text: "stopped", kind: "warn" },
  interrupted: { text: "interrupted", kind: "warn" },
};

/** The state of a piece of work as a chip. */
export function chipOf(state) {
  const chip = CHIPS[state] || { text: state, kind: "" };
  return h("span", { class: `chip ${chip.kind}`, "data-state": state }, chip.going ? h("span", { class: "dot", "aria-hidden": "true" }) : null, chip.text);
}

/** How long ago a moment is, of seconds since 1970. */
export function ago(moment) {
  const seconds = Math.max(0, Date.now() / 1000 - moment);
  if (seconds < 90) return "just now";
  if (seconds < 3600) return `${Math.round(seconds / 60)} minutes ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
  return new Date(moment * 1000).toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" });
}

/** A length of time: 0:07, 12:34. */
export function clock(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const rest = String(whole % 60).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}

export const ITEMS = { image: "picture", audio: "recording", text: "text", table: "row" };

export const METRICS = {
  accuracy: "Share of right answers",
  balanced_accuracy: "Right answers, every class counts the same",
  macro_f1: "F1, every class counts the same",
  log_loss: "How well the confidence fits (log loss)",
  roc_auc: "How well classes are ranked (ROC AUC)",
  rmse: "Typical error, large ones count more (RMSE)",
  mae: "Mean error (MAE)",
  r2: "Share of the variance explained (R²)",
};
