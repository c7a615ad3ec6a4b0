/** The switch for a breach: stop every prediction, and let another administrator release it. */

import { ask } from "./dialog.js";
import { announce, keepFocus, make, say } from "./element.js";
import { utc } from "./format.js";

/** Codes, not text: nothing that somebody typed reaches the trail. */
const REASONS = [
  ["suspected-breach", "Suspected breach"],
  ["key-leaked", "A key leaked"],
  ["wrong-answers", "Wrong answers"],
  ["drill", "Drill"],
];

/**
 * @param {import("./session.js").Session} session
 * @param {HTMLElement} place
 */
export function showLockdown(session, place) {
  const { api, identity } = session;
  const part = (/** @type {string} */ id) => /** @type {any} */ (place.querySelector(`#${id}`));
  part("lockdown-reason").append(...REASONS.map(([value, text]) => make("option", { value, text })));

  const load = async () => {
    const state = await api.get("admin/lockdown");
    const isOn = state.on;
    const isOwn = state.by === identity.user_id;
    /** @type {[string, string][]} */
    const facts = [["State", isOn ? "■ Locked down" : "○ Open"]];
    if (isOn) facts.push(["Reason", state.reason_code ?? ""], ["By", state.by ?? ""], ["Since (UTC)", utc(state.at)]);
    part("lockdown-state").replaceChildren(
      ...facts.flatMap(([name, value]) => [make("dt", { text: name }), make("dd", { text: value })]),
    );
    part("lockdown-form").hidden = isOn;
    part("release").hidden = !isOn || isOwn;
    part("lockdown-own").hidden = !isOn || !isOwn;
  };
  const act = async (/** @type {() => Promise<void>} */ action) => {
    say(part("lockdown-error"), null);
    try {
      await action();
      await load();
      keepFocus(place);
    } catch (problem) {
      const { message, fix } = /** @type {import("./api.js").Problem} */ (problem);
      say(part("lockdown-error"), fix ? `${message} ${fix}` : message);
    }
  };
  part("lockdown-form").addEventListener("submit", async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const text = "Every prediction stops at once for everyone. You cannot release it yourself: another administrator has to.";
    if ((await ask({ title: "Lock the service down?", text, action: "Lock down" })) === null) return;
    await act(async () => {
      await api.call("POST", "admin/lockdown", { body: { reason_code: part("lockdown-reason").value } });
      announce("The service is locked down.", { urgent: true });
      void session.refresh();
    });
  });
  part("release").addEventListener("click", async () => {
    const text = "Films are answered again, on every worker.";
    if ((await ask({ title: "Release the lockdown?", text, action: "Release" })) === null) return;
    await act(async () => {
      await api.call("DELETE", "admin/lockdown");
      announce("The lockdown is released.");
      void session.refresh();
    });
  });
  void act(async () => {});
}
