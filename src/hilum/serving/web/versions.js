/** The versions in the registry: which one answers, promotion and rollback, each with a reason. */

import { ask } from "./dialog.js";
import { announce, keepFocus, make, say } from "./element.js";

/**
 * @param {import("./session.js").Session} session
 * @param {HTMLElement} place
 */
export function showVersions(session, place) {
  const { api } = session;
  const part = (/** @type {string} */ id) => /** @type {any} */ (place.querySelector(`#${id}`));

  const load = async () => {
    /** @type {import("./types.js").StoredModel[]} */
    const models = await api.get("admin/models");
    for (const id of ["versions-table", "roll-back"]) part(id).hidden = false;
    part("versions-rows").replaceChildren(...models.map((model) => makeRow(model, promote)));
  };
  /** Do something, then show the state that it led to. */
  const act = async (/** @type {() => Promise<void>} */ action) => {
    say(part("versions-error"), null);
    try {
      await action();
      await load();
      keepFocus(place);
    } catch (problem) {
      const { message, fix } = /** @type {import("./api.js").Problem} */ (problem);
      say(part("versions-error"), fix ? `${message} ${fix}` : message);
    }
  };
  const promote = async (/** @type {import("./types.js").StoredModel} */ model) => {
    const text = `${model.name} will answer every film from now on, unless a promotion gate refuses it.`;
    const reason = await ask({ title: "Promote this version?", text, action: "Promote", reason: true });
    if (reason === null) return;
    await act(async () => {
      const { promoted, reasons } = await api.call("POST", "admin/models/promote", { body: { name: model.name, reason } });
      if (promoted === false) throw new Error(`${model.name} was not promoted. ${reasons.join(" ")}`);
      announce(`${model.name} is in production.`);
      void session.refresh();
    });
  };
  part("roll-back").addEventListener("click", async () => {
    const text = "The version that was in production before will answer every film from now on.";
    const reason = await ask({ title: "Roll back?", text, action: "Roll back", reason: true });
    if (reason === null) return;
    await act(async () => {
      await api.call("POST", "admin/models/rollback", { body: { reason } });
      announce("Rolled back.");
      void session.refresh();
    });
  });
  void act(async () => {});
}

/**
 * @param {import("./types.js").StoredModel} model
 * @param {(model: import("./types.js").StoredModel) => void} onPromote
 */
function makeRow(model, onPromote) {
  const state = model.ok ? (model.active ? "● answers" : "○ kept") : `✗ refused: ${model.reason ?? "damaged"}`;
  const button =
    model.ok && !model.active
      ? make("button", { type: "button", class: "small", text: "Promote", "aria-label": `Promote ${model.name}`, click: () => onPromote(model) })
      : null;
  return make(
    "tr",
    { class: model.active ? "is-active" : null },
    make("th", { scope: "row", class: "mono", text: model.name }),
    make("td", { text: model.version }),
    make("td", { text: model.aliases.join(", ") }),
    make("td", { text: state }),
    make("td", {}, button),
  );
}
