/** The form that asks for a key. */

import { find, say } from "./element.js";

const UNKNOWN_KEY =
  "The service does not accept this key. Check that you copied all of it; it may have expired or been revoked.";

/**
 * @param {HTMLElement} main
 * @param {{sentence: string | null, onKey: (key: string, keep: boolean) => Promise<void>}} how  `sentence` says why
 *   the form is back
 */
export function showLogin(main, { sentence, onKey }) {
  main.replaceChildren(find("login-view").content.cloneNode(true));
  document.title = "Log in · hilum";
  const field = find("key");
  const error = find("login-error");
  say(error, sentence);
  field.focus();
  field.addEventListener("input", () => field.removeAttribute("aria-invalid"));
  find("login-form").addEventListener("submit", async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const key = field.value.trim();
    const button = main.querySelector("button");
    const refuse = (/** @type {string} */ reason) => {
      say(error, reason);
      field.setAttribute("aria-invalid", "true");
      field.focus();
    };
    // A header cannot carry anything else; a dash that a word processor made of a hyphen ends up here.
    if (!/^[\x21-\x7e]+$/.test(key)) return refuse("A key has letters, digits and marks only, and no spaces.");
    say(error, null);
    button.disabled = true;
    try {
      await onKey(key, find("keep").checked);
    } catch (problem) {
      refuse(problem.status === 401 ? UNKNOWN_KEY : problem.message);
    } finally {
      button.disabled = false;
    }
  });
}
