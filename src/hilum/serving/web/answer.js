/**
 * One answer, in the order in which it should be read: why a reader should see the film, what each scenario
 * decides, the probabilities, what the map shows, and where the answer comes from.
 */

import { makeCorrection } from "./correction.js";
import { make, makeCopyButton } from "./element.js";
import { makeExplanation } from "./explanation.js";
import { listed, percent, short } from "./format.js";
import { makeProbabilities, makeRawProbabilities } from "./probabilities.js";

const SCENARIOS = ["site", "screening", "balanced", "confirmation"];

/**
 * Fill the answer's place, unless it already shows this film in this state.
 *
 * @param {HTMLElement} place
 * @param {import("./queue.js").QueuedFilm} film
 * @param {import("./session.js").Session} session
 * @param {() => void} onOverrule  a reader has looked at a rejected film and wants its answer
 */
export function showAnswer(place, film, session, onOverrule) {
  const shows = `${film.number} ${film.state}`;
  if (place.dataset.shows === shows && place.hasChildNodes()) return;
  place.dataset.shows = shows;
  const title = make("h2", { id: "answer-title", tabindex: "-1", text: `Film ${film.number}` });
  const name = make("p", { class: "file-name", text: film.name });
  const body = film.answer ? fill(film.answer, session) : film.problem ? refuse(film, onOverrule) : wait(film);
  place.replaceChildren(make("div", { class: "which" }, title, name), ...body);
  place.scrollTop = 0;
}

/** @param {import("./queue.js").QueuedFilm} film */
function wait(film) {
  return [make("p", { class: "hint", text: film.state === "cancelled" ? "Cancelled. It was not classified." : "Not answered yet." })];
}

/**
 * @param {import("./queue.js").QueuedFilm} film
 * @param {() => void} onOverrule
 */
function refuse(film, onOverrule) {
  const { message, fix, code, requestId, status, mayOverrule } = /** @type {import("./api.js").Problem} */ (film.problem);
  const wasRefused = film.state === "refused";
  return [
    make(
      "section",
      { class: "refusal" },
      make("h3", { text: wasRefused ? "This film was not classified" : "There is no answer for this film" }),
      make("p", { class: "sentence", text: message }),
      fix ? make("p", {}, make("strong", { text: "What to do: " }), fix) : null,
      mayOverrule ? makeOverrule(onOverrule) : null,
      make("p", { class: "hint" }, "Code ", make("code", { text: code || `status ${status}` })),
      requestId ? make("p", { class: "hint" }, "Request ", make("code", { text: requestId }), " ", makeCopyButton(requestId, "request id")) : null,
    ),
    make("p", { class: "hint", text: "A refusal says nothing about the patient. A qualified reader decides." }),
  ];
}

/** @param {() => void} onOverrule */
function makeOverrule(onOverrule) {
  return make(
    "p",
    { class: "overrule" },
    "The check can be wrong. ",
    make("button", { type: "button", class: "small", text: "I have looked: answer anyway", click: onOverrule }),
    " That is recorded with your name.",
  );
}

/**
 * @param {import("./types.js").Answer} answer
 * @param {import("./session.js").Session} session
 */
function fill(answer, session) {
  return [
    makeReferral(answer),
    makeDecisions(answer),
    make("p", { class: "own-notice", text: answer.notice }),
    makeProbabilities(answer),
    makeSet(answer),
    makeNotes(answer),
    makeExplanation(answer),
    makeRawProbabilities(answer),
    makeCorrection(answer, session),
    makeOrigin(answer),
  ].filter((part) => part !== null);
}

/** @param {import("./types.js").Answer} answer */
function makeReferral({ referral }) {
  if (!referral.to_reader) {
    return make(
      "section",
      { class: "referral none" },
      make("h3", { text: "No rule sends this film to a reader" }),
      make("p", { text: "That is not a finding of health." }),
    );
  }
  const reasons = referral.reasons.map(({ code, sentence }) => make("li", { "data-code": code, text: sentence }));
  return make(
    "section",
    { class: "referral" },
    make("h3", { text: "A reader should see this film, because" }),
    make("ul", {}, ...reasons),
  );
}

/** @param {import("./types.js").Answer} answer */
function makeDecisions({ scenarios, scenario: inForce, thresholds, prediction }) {
  const none = prediction === "Normal" ? "Normal" : "Unconfirmed";
  const named = Object.fromEntries(Object.entries(scenarios).map(([name, called]) => [name, called.length ? listed(called) : none]));
  const rows = SCENARIOS.filter((name) => name in scenarios).map((name) =>
    make(
      "tr",
      name === inForce ? { class: "in-force", "aria-current": "true" } : {},
      make("th", { scope: "row", text: name === inForce ? `${name} (in force)` : name }),
      make("td", { class: "decision", text: named[name] }),
      make("td", { class: "rule", text: describeRule(thresholds[name] ?? null) }),
    ),
  );
  const head = make(
    "thead",
    {},
    make("tr", {}, ...["Scenario", "Decision", "Threshold in force"].map((text) => make("th", { scope: "col", text }))),
  );
  const unconfirmed = Object.values(named).includes("Unconfirmed")
    ? make("p", { class: "hint", text: "Unconfirmed: looks sick rather than normal, but no disease reaches its threshold." })
    : null;
  return make(
    "section",
    { class: "decisions" },
    make("h3", { text: "Decision" }),
    make("table", {}, make("caption", { class: "unseen", text: "Decision in each scenario" }), head, make("tbody", {}, ...rows)),
    unconfirmed,
  );
}

/** @param {import("./types.js").Probabilities | null} cutoffs */
function describeRule(cutoffs) {
  if (cutoffs === null) return "most probable class";
  const values = [...new Set(Object.values(cutoffs))];
  if (values.length === 1) return `disease from ${percent(values[0])}`;
  return listed(Object.entries(cutoffs).map(([name, value]) => `${name} from ${percent(value)}`));
}

/** @param {import("./types.js").Answer} answer */
function makeSet({ prediction_set: names }) {
  const holds =
    names === null
      ? "None: no promise holds for this film."
      : names.length === 0
        ? "Empty: the film fits no class."
        : listed(names);
  return make(
    "section",
    { class: "set" },
    make("h3", { text: "Prediction set" }),
    make("p", { class: "set-names", text: holds }),
    names?.length
      ? make("p", { class: "hint", text: "The classes that cannot be ruled out at the rate promised for films like the validation films." })
      : null,
  );
}

/** @param {import("./types.js").Answer} answer */
function makeNotes({ notes }) {
  if (!notes.length) return null;
  const items = notes.map((text) => make("li", { text }));
  return make("section", { class: "notes" }, make("h3", { text: "Notes" }), make("ul", {}, ...items));
}

/** @param {import("./types.js").Answer} answer */
function makeOrigin(answer) {
  const { model, image, request_id: request } = answer;
  /** @type {[string, string | Node][]} */
  const facts = [
    ["Request", make("span", {}, make("code", { text: request }), " ", makeCopyButton(request, "request id"))],
    ["Model", `${model.name}${model.fallback ? " (fallback)" : ""}`],
    ["Version", model.version],
    ["Site", model.site ?? "none: not commissioned here"],
    ["Preprocessing", make("code", { text: model.preprocessing_id })],
    ["Film", `${image.format}, ${image.width} × ${image.height} px, ${image.bits} bits`],
    ["SHA-256", make("code", { text: answer.image_sha256 })],
    ["Time", `${short(answer.inference_time_ms)} ms`],
  ];
  const pairs = facts.flatMap(([name, value]) => [make("dt", { text: name }), make("dd", {}, value)]);
  return make(
    "section",
    { class: "origin" },
    make("h3", { text: "Where this answer comes from" }),
    make("dl", { class: "facts" }, ...pairs),
  );
}
