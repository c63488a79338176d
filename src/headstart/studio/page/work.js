// A fit: watched while it runs, and what came of it.

import { ask, follow, sentence } from "./api.js";
import { curveChart, means } from "./chart.js";
import { bar, h, many, percent, problem, put, shown, toast } from "/shared/dom.js";
import { CHIPS, chipOf, clock, METRICS } from "./words.js";

export function workView(main, { id, step }) {
  step(1);
  const state = fresh();
  const view = { head: h("header", { class: "stack" }), result: h("div", { class: "stack wide" }), race: h("section", { class: "card stack", "aria-labelledby": "race" }), curve: h("section", { class: "card stack", "aria-labelledby": "curve", hidden: true }), log: h("section", { class: "card" }) };
  put(main, h("div", { class: "stack wide" }, view.head, view.result, h("div", { class: "halves" }, view.race, view.curve), view.log));
  let stop = () => {};
  let timer = null;
  let planned = false;
  const redraw = () => {
    planned = false;
    drawHead(view.head, state, act);
    drawResult(view.result, state);
    drawRace(view.race, state);
    drawCurve(view.curve, state);
    drawLog(view.log, state);
    step(state.job?.state === "done" ? 2 : 1);
  };
  const plan = () => {
    if (!planned) requestAnimationFrame(redraw);
    planned = true;
  };
  const read = () => {
    stop();
    Object.assign(state, fresh(), { job: state.job });
    stop = follow(id, (event) => { hear(state, event); plan(); }, update, (lost, back) => { state.lost = !back; plan(); });
  };
  const update = async () => {
    state.job = await ask(`/api/jobs/${id}`);
    plan();
  };
  const act = async (what) => {
    try {
      await ask(`/api/jobs/${id}/${what}`, { method: "POST" });
      state.stopping = what.startsWith("stop");
      await update();
      if (what === "resume") read();
    } catch (error) {
      toast(error.message);
    }
  };
  const ready = update().then(() => {
    document.title = `${state.job.name} · headstart studio`;
    timer = setInterval(() => { if (CHIPS[state.job?.state]?.going) tick(view.head, state); }, 1000);
    read();
  });
  return { ready, leave: () => { stop(); clearInterval(timer); } };
}

function fresh() {
  return { job: null, racers: new Map(), runs: [], of: "", unit: "", metric: "", higher: true, baselines: [], stage: null, said: [], result: null, started: 0, lost: false, stopping: false };
}

/** Take an event into what is known. */
function hear(state, event) {
  const racer = (name) => {
    if (!state.racers.has(name)) state.racers.set(name, { name, done: 0, folds: 0, score: null, state: "racing" });
    return state.racers.get(name);
  };
  const takes = {
    started: () => { Object.assign(state, { racers: new Map(), runs: [], started: event.at, result: null }); if (state.job && !CHIPS[state.job.state]?.going) return; if (state.job) state.job.state = "running"; },
    waiting: () => { if (state.job && CHIPS[state.job.state]?.going) state.job.state = "waiting"; },
    racing: () => { Object.assign(state, { metric: event.metric, higher: event.higher, baselines: event.baselines }); event.candidates.forEach((name) => { racer(name).folds = event.folds; }); },
    fold: () => Object.assign(racer(event.candidate), { done: event.done, folds: event.folds, score: event.score, seconds: event.seconds }),
    outcome: () => Object.assign(racer(event.candidate), { state: event.state, reason: event.reason, seconds: event.seconds }, event.score === null ? {} : { score: event.score }),
    curve: () => { state.runs.push(event); Object.assign(state, { of: event.of, unit: event.unit }); },
    chosen: () => { racer(event.candidate).chosen = true; },
    progress: () => { state.stage = event; },
    saving: () => { state.stage = { stage: "saving the model", done: 0, total: null }; },
    said: () => state.said.push(event.text),
    result: () => { state.result = event; },
    ended: () => { state.stage = null; state.ended = event.at; state.stopping = false; },
  };
  takes[event.event]?.();
}

function tick(head, state) {
  const place = head.querySelector("[data-clock]");
  if (place && state.started) place.textContent = clock(Date.now() / 1000 - state.started);
}

function drawHead(head, state, act) {
  const { job } = state;
  if (!job) return;
  const going = CHIPS[job.state]?.going;
  const took = state.result ? state.result.seconds : 0;
  put(
    head,
    h("div", { class: "row apart" },
      h("div", { class: "stack tight" },
        h("div", { class: "row" }, h("h1", null, job.name), chipOf(state.stopping && going ? "stopping" : job.state)),
        h("p", { class: "muted small path" }, job.data)),
      h("div", { class: "row actions" },
        going ? h("button", { class: "button", type: "button", onclick: () => act(state.stopping ? "stop?at_once=true" : "stop") }, state.stopping ? "Stop at once" : "Stop") : null,
        job.resumable ? h("button", { class: "button first", type: "button", onclick: () => act("resume") }, job.state === "failed" ? "Try again" : "Go on") : null),
    ),
    going ? h("div", { class: "card row now", role: "status" }, h("span", { class: "spin" }), h("span", { class: "grow" }, stageText(state)), h("span", { class: "number muted", "data-clock": "" }, state.started ? clock(Date.now() / 1000 - state.started) : "")) : null,
    going ? h("p", { class: "small muted" }, "You may close this page: the work goes on, and is here when you come back.") : null,
    state.lost && going ? h("p", { class: "note warn", role: "status" }, "The studio does not answer just now. The work goes on; this page tries again.") : null,
    job.error ? problem({ message: sentence(job.error.what), where: job.error.where, hint: job.error.hint && sentence(job.error.hint) }) : null,
    ["stopped", "interrupted"].includes(job.state) ? h("div", { class: "note warn" }, h("strong", null, job.state === "stopped" ? "This was stopped." : "This ended without a word: the computer or the process was shut down."), h("p", null, "What was computed is kept. “Go on” takes it up from there.")) : null,
    took && !going ? h("p", { class: "small muted" }, took < 90 ? `Took ${Math.round(took)} s` : `Took ${clock(took)} min`) : null,
  );
}

function stageText(state) {
  if (state.stopping) return "Stopping in good order …";
  if (state.job.state === "waiting") return "Waiting: another fit is running, this one comes next.";
  const { stage } = state;
  if (!stage) return "Starting …";
  const part = stage.total ? `: ${stage.done.toLocaleString("en")} of ${stage.total.toLocaleString("en")}` : "";
  return `${sentence(stage.stage)}${stage.unit === "bytes" ? "" : part} …`;
}

function drawResult(place, state) {
  const { result, job } = state;
  if (!result || !job?.model) return put(place);
  const { score } = result;
  const share = isShare(score.metric);
  const said = (value) => (share ? percent(value, 1) : shown(Number(value.toPrecision(4))));
  const rows = [
    ["What you get", score, true],
    ["Without transfer", result.baselines.scratch, false],
    ["Always the same guess", result.baselines.majority, false],
  ];
  return put(
    place,
    h("section", { class: "card result stack wide", "aria-labelledby": "result" },
      h("div", { class: "stack tight" }, h("p", { class: "chip accent" }, "Result"), h("h2", { id: "result", class: "headline" }, result.sentences[0]), result.sentences[1] ? h("p", { class: "lead" }, result.sentences[1]) : null),
      h("ul", { class: "bars scores", "aria-label": METRICS[score.metric] || score.metric },
        rows.map(([name, one, best]) => bar(name, share ? one.estimate : one.estimate / Math.max(...rows.map((row) => Math.abs(row[1].estimate)), 1e-9), `${said(one.estimate)}  (${said(one.low).replace(" %", "")} to ${said(one.high)})`, best))),
      h("p", { class: "small muted" }, `${METRICS[score.metric] || score.metric}, on ${result.judged_by || "examples that were not learnt from"}. In brackets: where the true value lies, 19 times of 20.`),
      h("div", { class: "row" },
        h("a", { class: "button first", href: `/try/${job.id}/` }, "Try the model"),
        job.report ? h("a", { class: "button", href: `/api/jobs/${job.id}/report`, target: "_blank", rel: "noopener" }, "Read the report") : null,
        h("a", { class: "button", href: `/api/jobs/${job.id}/model.zip`, download: "" }, "Download the model")),
      job.corrections ? h("div", { class: "note" }, h("strong", null, `${many(job.corrections.n, "correction")} kept`), h("p", { class: "small" }, "Add these rows to your data, or learn from them alone:"), h("code", { class: "small" }, `headstart fit ${job.corrections.path} -o NEW_MODEL`)) : null,
      result.explanation ? h("p", { class: "muted" }, result.explanation) : null,
    ),
  );
}

function isShare(metric) {
  return !["rmse", "mae", "log_loss", "r2"].includes(metric);
}

function drawRace(place, state) {
  const racers = [...state.racers.values()];
  const best = (one) => (one.score === null ? -Infinity : state.higher ? one.score : -one.score);
  racers.sort((a, b) => Number(b.chosen || false) - Number(a.chosen || false) || Number(a.state === "left out") - Number(b.state === "left out") || best(b) - best(a));
  const raced = racers.filter((one) => one.state !== "left out");
  const absent = racers.filter((one) => one.state === "left out");
  const scores = raced.map((one) => one.score).filter((score) => score !== null);
  const most = Math.max(...scores, 1e-9);
  const least = Math.min(...scores, Infinity);
  const share = (one) => (one.score === null ? 0 : isShare(state.metric) ? one.score : state.higher ? one.score / most : least / one.score);
  const leading = raced.find((one) => one.score !== null)?.name;
  if (place.querySelector("details")?.open) place.dataset.open = "yes";
  else delete place.dataset.open;
  put(
    place,
    h("div", { class: "stack tight" }, h("h2", { id: "race" }, "The race"), h("p", { class: "small muted" }, racers.length ? `${METRICS[state.metric] || state.metric} on examples held out, so far. This chooses; the result is measured apart.` : "Begins when your data are read.")),
    raced.length ? h("ul", { class: "bars race" }, raced.map((one) => racerRow(one, share(one), one.name === leading, state))) : skeleton(),
    absent.length ? h("details", { open: place.dataset.open === "yes" }, h("summary", null, `${many(absent.length, "way")} left out`), h("ul", { class: "lines small" }, absent.map((one) => h("li", null, h("strong", null, named(one.name)), h("span", { class: "muted" }, ` ${one.reason}`))))) : null,
  );
}

const WAYS = { scratch: "without transfer (scratch)", majority: "always the same guess" };

function named(name) {
  return WAYS[name] || name;
}

function racerRow(one, share, best, state) {
  const score = one.score === null ? "" : isShare(state.metric) ? percent(one.score, 1) : shown(Number(one.score.toPrecision(4)));
  const row = bar(named(one.name), share, score, one.chosen || best);
  row.classList.add(one.state.replace(" ", "-"));
  const states = { dropped: "dropped: cannot win any more", failed: "did not work" };
  const text = one.chosen ? "chosen" : states[one.state] || (one.state === "racing" && one.folds ? `${one.done} of ${one.folds} parts` : one.seconds >= 0.1 ? `took ${one.seconds.toFixed(one.seconds < 10 ? 1 : 0)} s` : "");
  if (text) row.append(h("span", { class: "under small muted", title: one.reason || null }, text));
  return row;
}

function skeleton() {
  return h("div", { class: "ghosts", "aria-hidden": "true" }, [70, 55, 40].map((width) => h("span", { class: "ghost", "width%": width })));
}

function drawCurve(place, state) {
  const measured = state.result?.curve?.length ? state.result.curve : null;
  place.hidden = !measured && !state.runs.length;
  if (place.hidden) return;
  const share = isShare(state.metric);
  const line = (which, name, kind) => {
    const dots = state.runs.filter((run) => run[which] !== null).map((run) => ({ n: run.n, value: run[which] }));
    const points = measured ? measured.map((one) => ({ n: one.n_per_class ?? one.n, value: one[which].estimate, low: one[which].low, high: one[which].high })) : means(state.runs, which);
    return { name, kind, points, dots: measured ? [] : dots };
  };
  put(
    place,
    h("div", { class: "stack tight" }, h("h2", { id: "curve" }, "What examples are worth"), h("p", { class: "small muted" }, "Both learn again from fewer labels. Where the lines still rise, more examples help.")),
    curveChart([line("transfer", `with transfer${state.of ? ` (${state.of})` : ""}`, "one"), line("scratch", "without transfer", "two")], { unit: state.unit, metric: METRICS[state.metric] || state.metric, share }),
  );
}

function drawLog(place, state) {
  const open = place.querySelector("details")?.open;
  put(place, h("details", { open: Boolean(open) }, h("summary", null, `What was decided, and why (${state.said.length})`), h("ul", { class: "lines small" }, state.said.map((line) => h("li", null, sentence(line))))));
}
