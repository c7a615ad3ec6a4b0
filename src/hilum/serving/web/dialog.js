/** Questions before grave actions, and things that are shown once. The browser keeps the focus inside. */

import { find, make, makeCopyButton } from "./element.js";

/**
 * Ask for a confirmation, and for a reason where one is asked for.
 *
 * @param {{title: string, text: string, action: string, reason?: boolean}} question  `action` names the button
 * @returns {Promise<string | null>} the reason ("" where none was asked for), or null when it was cancelled
 */
export function ask({ title, text, action, reason = false }) {
  const field = /** @type {HTMLInputElement} */ (
    make("input", { id: "dialog-reason", type: "text", required: true, maxlength: "200", autocomplete: "off" })
  );
  const cancel = make("button", { type: "button", text: "Cancel" });
  const form = make(
    "form",
    { method: "dialog" },
    make("h2", { id: "dialog-title", text: title }),
    make("p", { text }),
    reason ? make("p", {}, make("label", { for: "dialog-reason", text: "Reason, kept in the registry's history" }), field) : null,
    make("p", { class: "actions" }, make("button", { type: "submit", value: "yes", class: "grave", text: action }), cancel),
  );
  return show(form, cancel, reason ? field : cancel).then((answer) =>
    answer === "yes" ? (reason ? field.value.trim() : "") : null,
  );
}

/**
 * Show a new key, once.
 *
 * @param {string} key
 */
export function showKeyOnce(key) {
  const close = make("button", { type: "button", text: "I have stored it" });
  const form = make(
    "form",
    { method: "dialog" },
    make("h2", { id: "dialog-title", text: "The new key" }),
    make("p", { text: "It is shown this once: the service keeps only a digest of it. Hand it over on a safe way." }),
    make("p", { class: "once" }, make("code", { id: "new-key", text: key })),
    make("p", { class: "actions" }, makeCopyButton(key, "key"), close),
  );
  return show(form, close, close);
}

/**
 * @param {HTMLElement} form
 * @param {HTMLElement} close
 * @param {HTMLElement} first  gets the focus
 * @returns {Promise<string>}
 */
function show(form, close, first) {
  const dialog = /** @type {HTMLDialogElement} */ (find("dialog"));
  dialog.replaceChildren(form);
  dialog.returnValue = "";
  close.addEventListener("click", () => dialog.close());
  return new Promise((answer) => {
    dialog.addEventListener(
      "close",
      () => {
        dialog.replaceChildren();
        answer(dialog.returnValue);
      },
      { once: true },
    );
    dialog.showModal();
    first.focus();
  });
}
