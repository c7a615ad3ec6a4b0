/** The versions in the registry: which one answers, promotion and rollback, each with a reason. */

import { ask } from "./dialog.js";
import { announce, keepFocus, make, say } from "./element.js";

const MOST_LOOKS = 15;
const LOOK_MS = 2000;

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
    return models.some(isTakingOver);
  };
  /** Look again until the new production version is loaded and answers; give up where it never does. */
  const follow = async () => {
    for (let looks = 0; looks < MOST_LOOKS && place.isConnected && (await load()); looks += 1) {
      await new Promise((done) => window.setTimeout(done, LOOK_MS));
    }
    keepFocus(place);
    await session.refresh();
  };
  /** Do something, then show the state that it led to. */
  const act = async (/** @type {() => Promise<void>} */ action) => {
    say(part("versions-error"), null);
    try {
      await action();
      await follow();
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
    });
  };
  part("roll-back").addEventListener("click", async () => {
    const text = "The version that was in production before will answer every film from now on.";
    const reason = await ask({ title: "Roll back?", text, action: "Roll back", reason: true });
    if (reason === null) return;
    await act(async () => {
      await api.call("POST", "admin/models/rollback", { body: { reason } });
      announce("Rolled back.");
    });
  });
  void act(async () => {});
}

/** @param {import("./types.js").StoredModel} model */
function isTakingOver(model) {
  return model.ok && !model.active && model.aliases.includes("production");
}

/**
 * @param {import("./types.js").StoredModel} model
 * @param {(model: import("./types.js").StoredModel) => void} onPromote
 */
function makeRow(model, onPromote) {
  const kept = isTakingOver(model) ? "◐ taking over" : "○ kept";
  const state = model.ok ? (model.active ? "● answers" : kept) : `✗ refused: ${model.reason ?? "damaged"}`;
  const button =
    model.ok && !model.active && !isTakingOver(model)
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
