/** Probabilities as numbers with a bar each. The bars repeat the numbers and are hidden from screen readers. */

import { make } from "./element.js";
import { percent } from "./format.js";

/**
 * @param {import("./types.js").Answer} answer
 * @returns {HTMLElement}
 */
export function makeProbabilities({ probabilities, prediction, called, thresholds }) {
  const marks = ["screening", "confirmation"].filter((name) => thresholds[name]);
  const rows = Object.entries(probabilities).map(([name, value]) =>
    make(
      "tr",
      { class: (called.length ? called.includes(name) : name === prediction) ? "is-called" : null },
      make("th", { scope: "row", text: name }),
      make("td", { class: "value", text: percent(value) }),
      make("td", { class: "graph", "aria-hidden": "true" }, makeBar(value, marks.map((mark) => thresholds[mark]?.[name]))),
    ),
  );
  const legend = marks.length ? make("p", { class: "hint legend", text: `Marks on the bars: thresholds of ${marks.join(" and ")}.` }) : null;
  return make(
    "section",
    { class: "probabilities" },
    make("h3", { text: "Calibrated probabilities" }),
    make("table", {}, make("caption", { class: "unseen", text: "Calibrated probability of each class" }), make("tbody", {}, ...rows)),
    legend,
  );
}

/**
 * @param {number} value
 * @param {(number | undefined)[]} cutoffs
 */
function makeBar(value, cutoffs) {
  const filled = make("span", { class: "filled" });
  filled.style.inlineSize = `${100 * value}%`;
  const marks = cutoffs
    .filter((cutoff) => cutoff !== undefined)
    .map((cutoff) => {
      const mark = make("span", { class: "cutoff" });
      mark.style.insetInlineStart = `${100 * Number(cutoff)}%`;
      return mark;
    });
  return make("span", { class: "bar-track" }, filled, ...marks);
}

/**
 * @param {import("./types.js").Answer} answer
 * @returns {HTMLElement}
 */
export function makeRawProbabilities({ raw_probabilities: raw, probabilities }) {
  const rows = Object.entries(raw).map(([name, value]) =>
    make(
      "tr",
      {},
      make("th", { scope: "row", text: name }),
      make("td", { class: "number", text: percent(value) }),
      make("td", { class: "number", text: percent(probabilities[name]) }),
    ),
  );
  const head = ["Class", "Raw", "Calibrated"].map((text, index) =>
    make("th", { scope: "col", class: index ? "number" : null, text }),
  );
  return make(
    "details",
    { class: "raw" },
    make("summary", { text: "Raw probabilities, before calibration" }),
    make("table", {}, make("caption", { class: "unseen", text: "Raw and calibrated" }), make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows)),
    make("p", { class: "hint", text: "Raw values are what the network gives. They are not rates; decisions use the calibrated ones." }),
  );
}
