/** What a reader says about an answer: a misdiagnosis, or a finding that is established. Sent once. */

import { make, say } from "./element.js";
import { makeUuid } from "./integrity.js";

/**
 * @param {import("./types.js").Answer} answer
 * @param {import("./session.js").Session} session
 * @returns {HTMLElement}
 */
export function makeCorrection(answer, { api }) {
  const names = Object.keys(answer.probabilities);
  const id = answer.request_id;
  // One key for all attempts: a request that arrived although its answer was lost is not counted twice.
  const idempotencyKey = makeUuid();
  const radio = (/** @type {string} */ kind, /** @type {string} */ text) => {
    const input = make("input", { type: "radio", name: `kind-${id}`, id: `${kind}-${id}`, value: kind, required: true });
    return make("p", { class: "tick" }, input, " ", make("label", { for: `${kind}-${id}`, text }));
  };
  const label = /** @type {HTMLSelectElement} */ (
    make(
      "select",
      { id: `label-${id}`, required: true },
      make("option", { value: "", text: "Choose" }),
      ...names.map((name) => make("option", { value: name, text: name })),
    )
  );
  const error = make("p", { class: "fault", role: "alert", hidden: true });
  const done = make("p", { class: "sent", role: "status", tabindex: "-1", hidden: true });
  const fields = /** @type {HTMLFieldSetElement} */ (
    make(
      "fieldset",
      {},
      make("legend", { class: "unseen", text: "What a reader says" }),
      radio("misdiagnosis", `The answer is wrong: report a misdiagnosis`),
      radio("confirmed", "The finding is established: confirm a label"),
      make("p", { class: "row" }, make("label", { for: `label-${id}`, text: "The film shows" }), " ", label, " ", make("button", { type: "submit", text: "Send" })),
    )
  );
  const form = make("form", { method: "post", class: "correction" }, fields, error, done);
  form.addEventListener("change", () => {
    const isWrong = /** @type {HTMLInputElement} */ (fields.querySelector("[value=misdiagnosis]")).checked;
    for (const option of label.options) option.disabled = isWrong && option.value === answer.prediction;
    if (isWrong && label.value === answer.prediction) label.value = "";
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const kind = /** @type {HTMLInputElement} */ (fields.querySelector("input:checked")).value;
    const body = { request_id: id, kind, label: label.value };
    say(error, null);
    fields.disabled = true;
    try {
      const answered = await api.call("POST", "feedback", { body, headers: { "Idempotency-Key": idempotencyKey } });
      const queued = answered?.queued_for_review ? " It is queued for manual review." : "";
      say(done, `Sent: ${kind === "misdiagnosis" ? "misdiagnosis" : "confirmed"}, ${label.value}.${queued}`);
      done.focus();
    } catch (problem) {
      fields.disabled = false;
      say(error, /** @type {Error} */ (problem).message);
    }
  });
  return make("section", { class: "correct" }, make("h3", { text: "Correct or confirm" }), form);
}
