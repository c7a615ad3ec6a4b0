/** Reported misdiagnoses, until a reader has looked at the film again and says what it shows. */

import { announce, keepFocus, make, say } from "./element.js";
import { counted, percent, utc } from "./format.js";

/**
 * @param {import("./session.js").Session} session
 * @param {HTMLElement} place
 */
export function showReview({ api }, place) {
  const part = (/** @type {string} */ id) => /** @type {any} */ (place.querySelector(`#${id}`));

  const load = async () => {
    const [{ waiting, cases }, { classes }] = await Promise.all([api.get("review"), api.get("model/info")]);
    const rest = waiting > cases.length ? `, the oldest ${cases.length} are shown` : "";
    part("review-count").textContent = waiting ? `${counted(waiting, "report")} ${waiting === 1 ? "waits" : "wait"}${rest}.` : "● No report waits.";
    part("cases").replaceChildren(...cases.map((/** @type {import("./types.js").Case} */ one) => makeCase(one, classes, decide)));
    part("cases").hidden = cases.length === 0;
  };
  const act = async (/** @type {() => Promise<void>} */ action) => {
    say(part("review-error"), null);
    try {
      await action();
      await load();
      keepFocus(place);
    } catch (problem) {
      const { message, fix } = /** @type {import("./api.js").Problem} */ (problem);
      say(part("review-error"), fix ? `${message} ${fix}` : message);
    }
  };
  const decide = (/** @type {import("./types.js").Case} */ one, /** @type {string} */ label, /** @type {string} */ verdict) =>
    act(async () => {
      await api.call("POST", `review/${one.feedback_id}`, { body: { label, verdict } });
      announce(verdict === "confirms" ? `Confirmed: the film shows ${label}, the answer was wrong.` : `Rejected: the film shows ${label}, the answer was right.`);
    });
  part("review-again").addEventListener("click", () => void act(async () => {}));
  void act(async () => {});
}

/**
 * @param {import("./types.js").Case} one
 * @param {string[]} classes
 * @param {(one: import("./types.js").Case, label: string, verdict: string) => Promise<void>} onDecide
 */
function makeCase(one, classes, onDecide) {
  const id = `case-${one.feedback_id}`;
  const facts = /** @type {[string, string][]} */ ([
    ["Reported (UTC)", utc(one.reported_at)],
    ["The report says", one.label],
    ...one.answers.map((answer, place) => [one.answers.length > 1 ? `The model said of film ${place + 1}` : "The model said", describeAnswer(answer)]),
  ]);
  const hints = [
    one.is_own ? "This was reported with your own key: let somebody else look, if you can." : "",
    one.answers.length > 1 ? "The request held several films; which one was meant is not known." : "",
    one.answers.length === 0 ? "The answer is no longer in the journal." : "",
  ].filter(Boolean);
  return make(
    "li",
    { class: "case", "aria-labelledby": id },
    make("h2", { id, text: "Request " }, make("span", { class: "mono", text: one.request_id })),
    make("dl", { class: "facts" }, ...facts.flatMap(([name, value]) => [make("dt", { text: name }), make("dd", { text: value })])),
    ...hints.map((text) => make("p", { class: "hint attend", text })),
    makeForm(one, classes, onDecide),
  );
}

/**
 * @param {import("./types.js").Case} one
 * @param {string[]} classes
 * @param {(one: import("./types.js").Case, label: string, verdict: string) => Promise<void>} onDecide
 */
function makeForm(one, classes, onDecide) {
  const said = one.answers.length === 1 ? one.answers[0].prediction : null;
  const label = /** @type {HTMLSelectElement} */ (
    make(
      "select",
      { id: `shows-${one.feedback_id}`, required: true },
      make("option", { value: "", text: "Choose" }),
      ...classes.map((name) => make("option", { value: name, text: name })),
    )
  );
  const meaning = make("p", { class: "hint", id: `meaning-${one.feedback_id}`, role: "status", text: "The film decides: what it shows confirms the report or rejects it." });
  const verdict = /** @type {HTMLSelectElement | null} */ (
    said === null
      ? make("select", { id: `verdict-${one.feedback_id}`, required: true }, make("option", { value: "", text: "Choose" }), make("option", { value: "confirms", text: "wrong" }), make("option", { value: "rejects", text: "right" }))
      : null
  );
  const follows = () => (label.value === said ? "rejects" : "confirms");
  const button = make("button", { type: "submit", text: "Record the review", "aria-describedby": `case-${one.feedback_id}` });
  label.addEventListener("change", () => {
    if (said === null || !label.value) return;
    meaning.textContent = follows() === "confirms" ? `The answer was wrong: the report is confirmed, ${label.value} is the label from now on.` : "The answer was right: the report is rejected.";
  });
  const fields = /** @type {HTMLFieldSetElement} */ (
    make(
      "fieldset",
      {},
      make("legend", { class: "unseen", text: `Review of request ${one.request_id}` }),
      make("p", { class: "row" }, make("label", { for: label.id, text: "The film shows" }), " ", label),
      verdict ? make("p", { class: "row" }, make("label", { for: verdict.id, text: "The answer was" }), " ", verdict) : null,
      make("p", { class: "row" }, button),
    )
  );
  const form = make("form", { method: "post", class: "correction", "aria-describedby": meaning.id }, fields, meaning);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    fields.disabled = true;
    await onDecide(one, label.value, verdict ? verdict.value : follows());
    fields.disabled = false;
  });
  return form;
}

/** @param {import("./types.js").Case["answers"][number]} answer */
function describeAnswer({ prediction, confidence, referred, model_version: model, timestamp }) {
  const sent = referred === null ? "" : referred ? ", sent to a reader" : ", sent to nobody";
  return `${prediction} (${percent(confidence)})${sent}; ${model ?? "model unknown"}, ${utc(timestamp)} UTC`;
}
