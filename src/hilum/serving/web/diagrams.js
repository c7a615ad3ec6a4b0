/** How films are spread now and in the reference, and whether probabilities mean what they say: bars and a table. */

import { make } from "./element.js";
import { counted, percent, short } from "./format.js";
import { draw, makeDrawing, round } from "./svg.js";

const WIDTH = 520;
const HEIGHT = 150;
const FOOT = 20;
const SIDE = 250;
const EDGE = 42;

/**
 * @param {Record<string, any>} detail  of a stability index: edges, shares, reference_shares
 * @returns {HTMLElement | null} null where a signal has no such detail
 */
export function makeHistogram({ edges, shares, reference_shares: reference }) {
  if (!Array.isArray(shares) || shares.length !== reference?.length || edges?.length !== shares.length - 1) return null;
  const most = Math.max(...shares, ...reference);
  const step = WIDTH / shares.length;
  const bar = (/** @type {string} */ name, /** @type {number} */ share, /** @type {number} */ left) => {
    const height = round(((HEIGHT - FOOT) * share) / most);
    return draw("rect", { class: name, x: round(left), y: HEIGHT - FOOT - height, width: round(0.38 * step), height });
  };
  const bars = shares.flatMap((/** @type {number} */ share, /** @type {number} */ place) => [
    bar("then", reference[place], (place + 0.1) * step),
    bar("now", share, (place + 0.5) * step),
  ]);
  const marks = edges.map((/** @type {number} */ edge, /** @type {number} */ place) =>
    draw("text", { x: round((place + 1) * step), y: HEIGHT - 5, text: short(edge), "text-anchor": "middle" }),
  );
  const gains = shares.map((/** @type {number} */ share, /** @type {number} */ place) => share - reference[place]);
  const place = gains.indexOf(Math.max(...gains));
  const sentence = `Films now against the reference in ${shares.length} ranges: most is gained ${nameRange(edges, place)}, ${percent(shares[place])} now and ${percent(reference[place])} in the reference.`;
  const rows = shares.map((/** @type {number} */ share, /** @type {number} */ index) => [nameRange(edges, index), percent(share), percent(reference[index])]);
  return make(
    "figure",
    { class: "diagram" },
    make("figcaption", {}, makeKey("then", "reference"), makeKey("now", "now"), make("span", { text: "Share of films in each range" })),
    makeDrawing("histogram", WIDTH, HEIGHT, sentence, ...bars, ...marks),
    makeTable("The ranges as a table", "Share of films by range", ["Range", "Now", "Reference"], rows),
  );
}

/**
 * @param {{low: number, high: number, films: number, mean_probability: number | null, observed_rate: number | null}[]} bins
 * @returns {HTMLElement | null} null without labelled films
 */
export function makeReliability(bins) {
  const held = (bins ?? []).filter((bin) => bin.films && bin.mean_probability !== null && bin.observed_rate !== null);
  if (!held.length) return null;
  const room = SIDE - 1.5 * EDGE;
  const x = (/** @type {number} */ share) => round(EDGE + room * share);
  const y = (/** @type {number} */ share) => round(EDGE / 2 + room * (1 - share));
  const most = Math.max(...held.map((bin) => bin.films));
  const dots = held.map((bin) =>
    draw("circle", { class: "dot", cx: x(Number(bin.mean_probability)), cy: y(Number(bin.observed_rate)), r: round(2.5 + 5 * Math.sqrt(bin.films / most)) }),
  );
  const words = [0, 0.5, 1].flatMap((share) => [
    draw("text", { x: x(share), y: y(0) + 15, text: `${100 * share}\u00a0%`, "text-anchor": share ? "end" : "start" }),
    draw("text", { x: x(0) - 4, y: y(share) + 4, text: `${100 * share}\u00a0%`, "text-anchor": "end" }),
  ]);
  const films = held.reduce((sum, bin) => sum + bin.films, 0);
  const sentence = `Reliability diagram of ${counted(films, "labelled film")}: ${held.map((bin) => `stated ${percent(bin.mean_probability)}, right ${percent(bin.observed_rate)}`).join("; ")}.`;
  const rows = held.map((bin) => [`${percent(bin.low)} to ${percent(bin.high)}`, percent(bin.mean_probability), percent(bin.observed_rate), bin.films.toLocaleString("en")]);
  return make(
    "figure",
    { class: "diagram" },
    make("figcaption", { text: "Reliability diagram: across, the probability that was stated; up, the share that was right. On the line they agree; a larger dot is of more films." }),
    makeDrawing(
      "reliability",
      SIDE,
      SIDE,
      sentence,
      draw("rect", { class: "frame", x: x(0), y: y(1), width: room, height: room }),
      draw("line", { class: "ideal", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
      ...dots,
      ...words,
    ),
    makeTable("The diagram as a table", "Stated probability against the share that was right", ["Stated between", "Mean stated", "Right", "Films"], rows),
  );
}

/**
 * @param {number[]} edges
 * @param {number} place
 */
function nameRange(edges, place) {
  if (place === 0) return `below ${short(edges[0])}`;
  if (place === edges.length) return `from ${short(edges[place - 1])} on`;
  return `${short(edges[place - 1])} to ${short(edges[place])}`;
}

/**
 * @param {string} name
 * @param {string} text
 */
function makeKey(name, text) {
  return make("span", { class: `key ${name}`, text });
}

/**
 * @param {string} summary
 * @param {string} caption
 * @param {string[]} head
 * @param {string[][]} rows
 */
function makeTable(summary, caption, head, rows) {
  return make(
    "details",
    {},
    make("summary", { text: summary }),
    make(
      "table",
      {},
      make("caption", { class: "unseen", text: caption }),
      make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col", text })))),
      make("tbody", {}, ...rows.map(([first, ...rest]) => make("tr", {}, make("th", { scope: "row", text: first }), ...rest.map((text) => make("td", { text }))))),
    ),
  );
}
