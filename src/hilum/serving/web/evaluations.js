/** What the model was measured at, by data set and class, each figure with its 95 % interval. */

import { make } from "./element.js";
import { counted, percent } from "./format.js";

/** @typedef {{value: number | null, low: number | null, high: number | null} | null} Figure */

/**
 * @param {import("./types.js").ModelInfo} info
 * @returns {HTMLElement | null}
 */
export function makeEvaluations({ evaluations }) {
  const sets = Object.entries(evaluations ?? {});
  if (!sets.length) return null;
  return make(
    "details",
    { class: "measured" },
    make("summary", { text: `Measured on ${sets.map(([name]) => name).join(" and ")} films` }),
    ...sets.map(([name, found]) => makeTable(name, found)),
  );
}

/**
 * @param {string} name
 * @param {import("./types.js").Evaluation} found
 */
function makeTable(name, { films, accuracy, classes }) {
  const caption = `${name}: ${counted(films, "film")}, accuracy ${describe(accuracy, percent)}`;
  const head = ["Class", "Sensitivity", "Specificity", "AUROC"].map((text) => make("th", { scope: "col", text }));
  const rows = Object.entries(classes).map(([finding, { sensitivity, specificity, auroc }]) =>
    make(
      "tr",
      {},
      make("th", { scope: "row", text: finding }),
      make("td", { text: describe(sensitivity, percent) }),
      make("td", { text: describe(specificity, percent) }),
      make("td", { text: describe(auroc, (value) => value.toFixed(3)) }),
    ),
  );
  return make(
    "table",
    {},
    make("caption", { text: caption }),
    make("thead", {}, make("tr", {}, ...head)),
    make("tbody", {}, ...rows),
  );
}

/**
 * @param {Figure} figure
 * @param {(value: number) => string} write
 */
function describe(figure, write) {
  if (!figure || figure.value === null) return "not defined";
  if (figure.low === null || figure.high === null) return write(figure.value);
  return `${write(figure.value)} (${write(figure.low)} to ${write(figure.high)})`;
}
