// The learning curve as a picture: transfer and scratch over the number of labels.

import { h, percent, s, shown } from "/shared/dom.js";

const WIDTH = 560;
const HEIGHT = 300;
const EDGE = { left: 56, right: 16, top: 16, bottom: 44 };

/** Return the mean of the runs at each number of labels. */
export function means(runs, which) {
  const by = new Map();
  for (const run of runs) if (run[which] !== null) by.set(run.n, [...(by.get(run.n) || []), run[which]]);
  return [...by].sort((a, b) => a[0] - b[0]).map(([n, list]) => ({ n, value: list.reduce((sum, one) => sum + one, 0) / list.length }));
}

/** Draw points: `lines` of {name, kind, points: [{n, value, low, high}], dots: [{n, value}]}. */
export function curveChart(lines, { unit, metric, share }) {
  const all = lines.flatMap((line) => [...line.points, ...(line.dots || [])]);
  const ns = [...new Set(all.map((one) => one.n))].sort((a, b) => a - b);
  const values = all.flatMap((one) => [one.value, one.low, one.high]).filter((one) => Number.isFinite(one));
  const [bottom, top] = range(values, share);
  const first = Math.log(ns[0]);
  const span = Math.max(Math.log(ns[ns.length - 1]) - first, 1e-9);
  const x = (n) => EDGE.left + ((Math.log(n) - first) / span) * (WIDTH - EDGE.left - EDGE.right);
  const y = (value) => HEIGHT - EDGE.bottom - ((value - bottom) / (top - bottom)) * (HEIGHT - EDGE.top - EDGE.bottom);
  const said = (value) => (share ? percent(value) : shown(Number(value.toPrecision(3))));
  const ticks = ticksOf(bottom, top);
  const picture = s(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "curve", role: "img", "aria-label": described(lines, unit, said) },
    ticks.map((value) => [s("line", { x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y(value), y2: y(value), class: "grid" }), s("text", { x: EDGE.left - 8, y: y(value) + 4, class: "tick", "text-anchor": "end", text: said(value) })]),
    thinned(ns, x).map((n) => s("text", { x: x(n), y: HEIGHT - EDGE.bottom + 20, class: "tick", "text-anchor": "middle", text: shown(Number(n.toPrecision(3))) })),
    s("text", { x: (EDGE.left + WIDTH - EDGE.right) / 2, y: HEIGHT - 4, class: "axis", "text-anchor": "middle", text: unit }),
    lines.map((line) => drawn(line, x, y)),
  );
  return h(
    "figure",
    { class: "stack tight" },
    h("figcaption", { class: "row legend" }, lines.map((line) => h("span", { class: `key ${line.kind}` }, line.name)), h("span", { class: "muted small" }, metric)),
    picture,
  );
}

function drawn(line, x, y) {
  const points = line.points.filter((one) => Number.isFinite(one.value));
  const band = points.filter((one) => Number.isFinite(one.low) && Number.isFinite(one.high));
  return s(
    "g",
    { class: `line ${line.kind}` },
    band.length > 1 ? s("polygon", { class: "band", points: [...band.map((one) => `${x(one.n)},${y(one.high)}`), ...band.reverse().map((one) => `${x(one.n)},${y(one.low)}`)].join(" ") }) : null,
    (line.dots || []).map((one) => s("circle", { class: "dot", cx: x(one.n), cy: y(one.value), r: 2.5 })),
    s("polyline", { points: points.map((one) => `${x(one.n)},${y(one.value)}`).join(" ") }),
    points.map((one) => s("circle", { class: "mean", cx: x(one.n), cy: y(one.value), r: 4 })),
  );
}

function range(values, share) {
  let low = Math.min(...values);
  let high = Math.max(...values);
  const room = Math.max((high - low) * 0.08, share ? 0.02 : Math.abs(high) * 0.02, 1e-6);
  low = share ? Math.max(0, Math.floor((low - room) * 20) / 20) : low - room;
  high = share ? Math.min(1, Math.ceil((high + room) * 20) / 20) : high + room;
  return [low, high];
}

/** Return round numbers between two ends. */
function ticksOf(low, high) {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + 1e-9; at++) found.push(at * step);
  return found;
}

function thinned(ns, x) {
  const kept = [];
  for (const n of ns) if (!kept.length || x(n) - x(kept[kept.length - 1]) > 34) kept.push(n);
  return kept;
}

function described(lines, unit, said) {
  const ends = lines.filter((line) => line.points.length).map((line) => `${line.name}: ${line.points.map((one) => `${said(one.value)} with ${shown(Number(one.n.toPrecision(3)))}`).join(", ")}`);
  return `Learning curve over ${unit}. ${ends.join(". ")}`;
}
