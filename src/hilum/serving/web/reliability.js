/** The reliability diagrams that the service made week by week (report 8.3): a line each, the diagram below it. */

import { makeReliability } from "./diagrams.js";
import { make } from "./element.js";
import { counted } from "./format.js";

/**
 * @param {import("./types.js").WeeklyDiagram[]} weeks  the newest first
 * @returns {HTMLElement}
 */
export function makeWeeks(weeks) {
  return make(
    "section",
    { "aria-labelledby": "weeks-title", class: "weeks" },
    make("h3", { id: "weeks-title", text: "Weekly reliability diagrams" }),
    weeks.length ? null : make("p", { class: "hint", text: "None yet: the first is made at the service's first look." }),
    ...weeks.map(makeWeek),
  );
}

/** @param {import("./types.js").WeeklyDiagram} week */
function makeWeek(week) {
  const body = make("div", {});
  const line = make("details", { class: "week" }, make("summary", { text: `${week.since} to ${week.until}: ${describe(week)}` }), body);
  line.addEventListener("toggle", () => {
    if (body.hasChildNodes()) return;
    const sentences = week.sentences.map((text) => make("p", { text: text.charAt(0).toUpperCase() + text.slice(1) }));
    body.append(...sentences);
    const diagram = makeReliability(week.bins);
    if (diagram) body.append(diagram);
  });
  return line;
}

/** @param {import("./types.js").WeeklyDiagram} week */
function describe({ films, needed, ece, slope }) {
  if (ece === null) return `not enough labelled films, ${films} of ${needed}`;
  const shape = slope === null ? "slope not stated" : `slope ${slope.toFixed(2)}`;
  return `ECE ${ece.toFixed(3)}, ${shape}, ${counted(films, "labelled film")}`;
}
