/** What is behind an alert: the statistic, since when, and the films that speak for it most, each with its record. */

import { makeHistogram, makeReliability } from "./diagrams.js";
import { make } from "./element.js";
import { counted, percent, short, utc } from "./format.js";
import { nameOf, write, writeWindow } from "./signals.js";

/** Numbers behind a signal, in words; what is drawn or listed elsewhere has no entry. */
const WORDS = {
  kl: ["Kullback–Leibler divergence", short],
  chance: ["By chance up to", short],
  median: ["Median now", short],
  reference_median: ["Median of the reference", short],
  mmd2: ["Squared mean discrepancy (MMD²)", short],
  permutations: ["Permutations of the test", short],
  share: ["Share now", percent],
  reference_share: ["Share in the reference", percent],
  accuracy: ["Accuracy on labelled films", percent],
  reference_accuracy: ["Accuracy at release", percent],
  expected_for_these_classes: ["Accuracy to be expected of this mix of classes", percent],
  reports: ["Labels that are reports of errors", String],
  ambiguous: ["Labels left out (several films in one request)", String],
  slope: ["Slope", short],
  usual: ["Films on such a day", short],
};

/**
 * @param {import("./types.js").Evidence} evidence
 * @returns {HTMLElement}
 */
export function makeEvidence(evidence) {
  const { detail } = evidence;
  return make(
    "div",
    { class: "evidence" },
    makeFacts(evidence),
    makeHistogram(detail),
    makeReliability(detail.bins),
    makeFilms(evidence),
    evidence.conclusions.length ? make("p", { class: "hint", text: `Said together then: ${evidence.conclusions.join(" ")}` }) : null,
  );
}

/**
 * The numbers behind a signal, as terms and values.
 *
 * @param {Record<string, any>} detail
 * @returns {[string, string][]}
 */
export function listDetail(detail) {
  const plain = Object.entries(WORDS).flatMap(([key, [name, show]]) => {
    const value = detail[key];
    if (value === undefined || value === null) return [];
    return [/** @type {[string, string]} */ ([name, /** @type {(value: any) => string} */ (show)(value)])];
  });
  const codes = Object.entries(detail.codes ?? {}).map(([code, films]) => `${code} ${films}`);
  return codes.length ? [...plain, ["Refusals by code", codes.join(", ")]] : plain;
}

/** @param {[string, string | HTMLElement][]} facts */
export function makeFactList(facts) {
  return make("dl", { class: "facts" }, ...facts.flatMap(([name, value]) => [make("dt", { text: name }), make("dd", {}, value)]));
}

/** @param {import("./types.js").Evidence} evidence */
function makeFacts({ signal, value, threshold, since, until, films_in_window: films, detail, last_over: lastOver }) {
  return makeFactList([
    ["Statistic", nameOf(signal)],
    ["Value and limit", `${write(signal, value)}, limit ${write(signal, threshold)}`],
    ["Window", [writeWindow(since, until), counted(films, "film")].filter(Boolean).join(", ")],
    ["Beyond the limit last (UTC)", utc(lastOver)],
    ...listDetail(detail),
  ]);
}

/** @param {import("./types.js").Evidence} evidence */
function makeFilms({ films }) {
  if (!films.length) return make("p", { class: "hint", text: "No single film speaks for this alert." });
  const head = ["Request, in the audit trail", "When (UTC)", "Answer", "Label", "How much it speaks for it"];
  const rows = films.map((film) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, makeTrailLink(film.request_id)),
      make("td", { text: utc(film.timestamp) }),
      make("td", { text: film.prediction ?? film.code ?? "" }),
      make("td", { text: film.label ?? "none" }),
      make("td", { class: "number", text: short(film.oddness) }),
    ),
  );
  return make(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "Films that speak for this alert" },
    make(
      "table",
      {},
      make("caption", { text: `${counted(films.length, "film")} that ${films.length === 1 ? "speaks" : "speak"} for it most, when it opened` }),
      make("thead", {}, make("tr", {}, ...head.map((text, place) => make("th", { scope: "col", class: place === 4 ? "number" : null, text })))),
      make("tbody", {}, ...rows),
    ),
  );
}

/** @param {string} id  of a request */
export function makeTrailLink(id) {
  return make("a", { class: "mono", href: `#trail/${encodeURIComponent(id)}`, text: id });
}
