/** What the map of attention shows, in numbers, or why it is withheld. */

import { make } from "./element.js";
import { percent, short } from "./format.js";

const ZONES = [
  ["upper", "Upper zones"],
  ["middle", "Middle zones"],
  ["lower", "Lower zones"],
];
const SIDES = [
  ["right", "Right lung (left of the picture)"],
  ["left", "Left lung (right of the picture)"],
];

/**
 * @param {import("./types.js").Answer} answer
 * @returns {HTMLElement | null}
 */
export function makeExplanation({ explanation }) {
  if (!explanation) return null;
  const title = make("h3", { text: `Heat for ${explanation.finding}` });
  if (explanation.withheld) {
    return make(
      "section",
      { class: "heat withheld" },
      title,
      make("p", {}, make("strong", { text: "Withheld: " }), `${explanation.withheld}.`),
      make("p", { class: "hint", text: "A map that failed its tests would mislead; the film is shown without it." }),
    );
  }
  const notes = explanation.notes.map((text) => make("li", { text }));
  return make(
    "section",
    { class: "heat" },
    title,
    make("p", { text: describeAgreement(explanation) }),
    notes.length ? make("ul", {}, ...notes) : null,
    explanation.zones ? makeZones(explanation.zones) : null,
    make(
      "dl",
      { class: "facts" },
      make("dt", { text: "Raw maximum" }),
      make("dd", { text: short(explanation.heat_max) }),
      make("dt", { text: "Inside the lungs" }),
      make("dd", { text: `${percent(explanation.inside_lungs)} of the heat, on ${percent(explanation.lung_area)} of the film` }),
    ),
    make("p", {
      class: "hint",
      text: "Heat shows what moved the score, not where disease is. Colours are scaled to this film's own maximum: weak evidence looks as hot as strong. Compare the raw maximum.",
    }),
  );
}

/** @param {import("./types.js").Explanation} explanation */
function describeAgreement({ agrees_with_table_26: agrees, finding }) {
  if (agrees === null) return `Nothing is claimed about where ${finding} shows, so there is nothing to agree with (Table 26).`;
  return agrees
    ? `The map lies where ${finding} usually shows (Table 26).`
    : `The map does not lie where ${finding} usually shows (Table 26).`;
}

/** @param {Record<string, number | null>} zones */
function makeZones(zones) {
  const head = ["Part of the lungs", "Share of heat", "Share of area"].map((text, index) =>
    make("th", { scope: "col", class: index ? "number" : null, text }),
  );
  const row = (/** @type {string[]} */ [key, name]) => {
    const area = zones[`${key}_area`];
    const hasMore = typeof area === "number" && typeof zones[key] === "number" && zones[key] > area;
    return make(
      "tr",
      {},
      make("th", { scope: "row", text: name }),
      make("td", { class: "number", text: `${percent(zones[key])}${hasMore ? " ▲" : ""}` }),
      make("td", { class: "number", text: area === undefined ? "" : percent(area) }),
    );
  };
  const body = [make("tbody", {}, ...ZONES.map(row)), make("tbody", {}, ...SIDES.map(row))];
  return make(
    "table",
    { class: "zones" },
    make("caption", { text: "Heat inside the lungs. ▲: more than an even map would hold." }),
    make("thead", {}, make("tr", {}, ...head)),
    ...body,
  );
}
