/**
 * A signal over the days: its values, their intervals, the limit, and gaps where it was not judged. Worse is
 * always higher, except for a signal that must not fall. The drawing is also a sentence and a table.
 */

import { make } from "./element.js";
import { counted } from "./format.js";
import { isChance, write, writeValue } from "./signals.js";
import { draw, makeDrawing, round } from "./svg.js";

const DAY_MS = 86_400_000;
const LEAST_CHANCE = 1e-12;
const HEADROOM = 0.12; // of the range, above and below
const MARKS = { small: 2.5, large: 4 };
const STATES = { ok: "within", over: "beyond its limit", unsure: "chance explains it", "not-enough": "not enough films", "not-judged": "not judged" };

/** @typedef {{first: string, last: string}} Days */

/**
 * @param {import("./types.js").Signal} signal
 * @param {import("./types.js").Point[]} points
 * @param {Days} days  that the axis spans
 * @param {{width: number, height: number, isLarge?: boolean}} size
 * @returns {SVGElement | null} null when no day was judged
 */
export function makeCurve(signal, points, days, { width, height, isLarge = false }) {
  const judged = points.filter((point) => point.value !== null);
  if (!judged.length) return null;
  const inset = isLarge ? { left: 74, right: 10, top: 8, bottom: 22 } : { left: 6, right: 6, top: 5, bottom: 5 };
  const scale = makeScale(signal, judged, height - inset.top - inset.bottom, inset.top);
  const span = Math.max(1, dayNumber(days.last) - dayNumber(days.first));
  const x = (/** @type {string} */ day) => round(inset.left + ((width - inset.left - inset.right) * (dayNumber(day) - dayNumber(days.first))) / span);
  const parts = findRuns(points).flatMap((run) => drawRun(run, x, scale));
  const limit = scale(signal.threshold);
  const line = draw("line", { class: "limit", x1: inset.left, x2: width - inset.right, y1: limit, y2: limit });
  const marks = judged.filter((point) => point.state === "over").map((point) => drawMark(x(point.day), scale(/** @type {number} */ (point.value)), isLarge ? MARKS.large : MARKS.small));
  const words = isLarge ? drawWords(signal, judged, days, { width, height, inset, scale }) : [];
  return makeDrawing(isLarge ? "curve is-large" : "curve", width, height, describeCurve(signal, points), ...parts, line, ...marks, ...words);
}

/**
 * What the curve shows, as one sentence.
 *
 * @param {import("./types.js").Signal} signal
 * @param {import("./types.js").Point[]} points
 */
export function describeCurve({ name, threshold }, points) {
  const values = points.flatMap((point) => (point.value === null ? [] : [point.value]));
  if (!values.length) return "Not judged on any day so far.";
  const [first, last] = [points[0].day, points[points.length - 1].day];
  const over = points.filter((point) => point.state === "over");
  const blank = points.length - values.length;
  return [
    `${first} to ${last}: newest ${write(name, values[values.length - 1])},`,
    `lowest ${write(name, Math.min(...values))}, highest ${write(name, Math.max(...values))};`,
    `limit ${write(name, threshold)};`,
    over.length ? `beyond it on ${counted(over.length, "day")}, first on ${over[0].day}` : "never beyond it",
    blank ? `; not judged on ${counted(blank, "day")}.` : ".",
  ].join(" ").replace(" ;", ";").replace(" .", ".");
}

/**
 * @param {import("./types.js").Signal} signal
 * @param {import("./types.js").Point[]} points
 */
export function makeDayTable({ name }, points) {
  const head = ["Day", "Value", "State", "Films"].map((text) => make("th", { scope: "col", text }));
  const rows = [...points].reverse().map((point) =>
    make(
      "tr",
      {},
      make("th", { scope: "row", text: point.day }),
      make("td", { text: writeValue({ name, ...point }) }),
      make("td", { text: STATES[/** @type {keyof typeof STATES} */ (point.state)] ?? point.state }),
      make("td", { text: point.films.toLocaleString("en") }),
    ),
  );
  return make(
    "details",
    { class: "days" },
    make("summary", { text: "The days as a table" }),
    make("table", {}, make("caption", { class: "unseen", text: "Value on each day, the newest first" }), make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows)),
  );
}

/**
 * Stretches of days that follow on one another and were judged: a curve is broken everywhere else.
 *
 * @param {import("./types.js").Point[]} points
 */
export function findRuns(points) {
  /** @type {import("./types.js").Point[][]} */
  const runs = [];
  let before = NaN;
  for (const point of points) {
    if (point.value === null) continue;
    if (dayNumber(point.day) === before + 1) runs[runs.length - 1].push(point);
    else runs.push([point]);
    before = dayNumber(point.day);
  }
  return runs;
}

/**
 * @param {import("./types.js").Signal} signal
 * @param {import("./types.js").Point[]} judged
 * @param {number} height
 * @param {number} top
 * @returns {(value: number) => number}
 */
function makeScale({ name, threshold, is_floor: isFloor }, judged, height, top) {
  const turn = isChance(name) ? (/** @type {number} */ value) => -Math.log10(Math.max(value, LEAST_CHANCE)) : (/** @type {number} */ value) => value;
  const known = judged.flatMap((point) => [point.value, point.low, point.high]).filter((value) => value !== null);
  const turned = [...known, threshold].map((value) => turn(/** @type {number} */ (value)));
  const least = isFloor && !isChance(name) ? Math.min(...turned) : Math.min(0, ...turned);
  const most = Math.max(...turned);
  const room = HEADROOM * (most - least || 1);
  const floor = least < 0 || (isFloor && !isChance(name)) ? least - room : least;
  return (value) => round(top + height * (1 - (turn(value) - floor) / (most + room - floor)));
}

/**
 * @param {import("./types.js").Point[]} run
 * @param {(day: string) => number} x
 * @param {(value: number) => number} y
 */
function drawRun(run, x, y) {
  const corner = (/** @type {import("./types.js").Point} */ point, /** @type {number | null} */ value) => `${x(point.day)},${y(/** @type {number} */ (value))}`;
  const banded = run.filter((point) => point.low !== null && point.high !== null);
  const band = [...banded.map((point) => corner(point, point.high)), ...banded.reverse().map((point) => corner(point, point.low))];
  const line = run.map((point) => corner(point, point.value));
  const [cx, cy] = line[0].split(",");
  return [
    band.length > 2 ? draw("polygon", { class: "band", points: band.join(" ") }) : null,
    line.length > 1 ? draw("polyline", { class: "line", points: line.join(" ") }) : draw("circle", { class: "dot", cx, cy, r: 2.5 }),
  ];
}

/**
 * A diamond.
 *
 * @param {number} x
 * @param {number} y
 * @param {number} half  of its width
 */
function drawMark(x, y, half) {
  return draw("path", { class: "beyond", d: `M${x} ${round(y - half)}l${half} ${half}l${-half} ${half}l${-half} ${-half}z` });
}

/**
 * @param {import("./types.js").Signal} signal
 * @param {import("./types.js").Point[]} judged
 * @param {Days} days
 * @param {{width: number, height: number, inset: Record<string, number>, scale: (value: number) => number}} frame
 */
function drawWords({ name, threshold }, judged, days, { width, height, inset, scale }) {
  const newest = /** @type {number} */ (judged[judged.length - 1].value);
  const word = (/** @type {number} */ x, /** @type {number} */ y, /** @type {string} */ text, anchor = "end") => draw("text", { x, y: round(y), text, "text-anchor": anchor });
  const isApart = Math.abs(scale(newest) - scale(threshold)) > 14;
  return [
    word(inset.left - 6, scale(threshold) + 4, write(name, threshold)),
    isApart ? word(inset.left - 6, scale(newest) + 4, write(name, newest)) : null,
    word(inset.left, height - 5, days.first, "start"),
    word(width - inset.right, height - 5, days.last),
  ];
}

/** @param {string} day */
function dayNumber(day) {
  return Math.round(Date.parse(`${day}T00:00:00Z`) / DAY_MS);
}
