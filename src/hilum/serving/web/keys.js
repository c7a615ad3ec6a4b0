/** Access keys: make, rotate and revoke. A new key is shown once and kept nowhere on this page. */

import { ask, showKeyOnce } from "./dialog.js";
import { announce, keepFocus, make, say } from "./element.js";
import { utc } from "./format.js";

const OVERLAP_HOURS = 24;

/**
 * @param {import("./session.js").Session} session
 * @param {HTMLElement} place
 */
export function showKeys({ api, identity }, place) {
  const part = (/** @type {string} */ id) => /** @type {any} */ (place.querySelector(`#${id}`));

  const load = async () => {
    /** @type {import("./types.js").AccessKey[]} */
    const keys = await api.get("admin/keys");
    part("keys-rows").replaceChildren(
      ...keys.map((key) =>
        makeRow(key, { isOwn: key.id === identity.user_id, onRotate: rotate, onRevoke: revoke }),
      ),
    );
  };
  const act = async (/** @type {() => Promise<void>} */ action) => {
    say(part("keys-error"), null);
    try {
      await action();
      await load();
      keepFocus(place);
    } catch (problem) {
      say(part("keys-error"), /** @type {Error} */ (problem).message);
    }
  };
  const rotate = async (/** @type {import("./types.js").AccessKey} */ key) => {
    const text = `“${key.label ?? key.id}” gets a new secret. The old one goes on for ${OVERLAP_HOURS} hours, so that nobody is locked out.`;
    if ((await ask({ title: "Rotate this key?", text, action: "Rotate" })) === null) return;
    await act(async () => {
      const made = await api.call("POST", `admin/keys/${encodeURIComponent(key.id)}/rotate`, { body: { overlap_hours: OVERLAP_HOURS } });
      await showKeyOnce(made.key);
    });
  };
  const revoke = async (/** @type {import("./types.js").AccessKey} */ key) => {
    const text = `“${key.label ?? key.id}” stops working at once, for everyone who uses it. This cannot be undone.`;
    if ((await ask({ title: "Revoke this key?", text, action: "Revoke" })) === null) return;
    await act(async () => {
      await api.call("DELETE", `admin/keys/${encodeURIComponent(key.id)}`);
      announce("The key is revoked.");
    });
  };
  part("key-form").addEventListener("submit", (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const body = {
      label: part("key-label").value.trim(),
      role: part("key-role").value,
      expires_in_days: Number(part("key-days").value),
    };
    void act(async () => {
      const made = await api.call("POST", "admin/keys", { body });
      part("key-form").reset();
      await showKeyOnce(made.key);
    });
  });
  void act(async () => {});
}

/**
 * @param {import("./types.js").AccessKey} key
 * @param {{isOwn: boolean, onRotate: (key: import("./types.js").AccessKey) => void, onRevoke: (key: import("./types.js").AccessKey) => void}} how
 */
function makeRow(key, { isOwn, onRotate, onRevoke }) {
  const isPast = Boolean(key.expires_at) && new Date(String(key.expires_at)) < new Date();
  const state = key.revoked_at ? "✗ revoked" : isPast ? "✗ expired" : isOwn ? "● in use by you" : "● valid";
  const button = (/** @type {string} */ name, /** @type {(key: import("./types.js").AccessKey) => void} */ act) =>
    make("button", {
      type: "button",
      class: "small",
      text: name,
      "aria-label": `${name} ${key.label ?? key.id}`,
      click: () => act(key),
    });
  const isDead = Boolean(key.revoked_at) || isPast;
  const actions = isDead ? [] : [button("Rotate", onRotate), " ", isOwn ? null : button("Revoke", onRevoke)];
  return make(
    "tr",
    { class: isDead ? "is-dead" : null },
    make("th", { scope: "row", class: "mono", text: key.id }),
    make("td", { text: key.label ?? "" }),
    make("td", { text: key.role }),
    make("td", { text: key.expires_at ? utc(key.expires_at) : "never" }),
    make("td", { text: state }),
    make("td", {}, ...actions),
  );
}
