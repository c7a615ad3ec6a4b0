/**
 * Make elements out of data. Text is always set as text: nothing here, or anywhere else, parses HTML.
 */

/**
 * @param {string} tag
 * @param {Record<string, unknown>} attributes  `class`, `text`, ARIA and plain attributes; functions are listeners
 *   named after their event; `null`, `undefined` and `false` leave an attribute out.
 * @param {...(Node | string | null | undefined)} children
 * @returns {HTMLElement}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") element.textContent = String(value);
    else if (typeof value === "function") element.addEventListener(name, /** @type {EventListener} */ (value));
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/**
 * @param {string} id  of an element that is part of the page
 * @returns {any}
 */
export function find(id) {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no element ${id}`);
  return element;
}

/**
 * Show a message in its place, or hide the place when there is none.
 *
 * @param {HTMLElement} place
 * @param {string | null} text
 */
export function say(place, text) {
  place.textContent = text ?? "";
  place.hidden = !text;
}

/**
 * Tell screen readers what happened elsewhere on the page.
 *
 * @param {string} text
 * @param {{urgent?: boolean}} [how]
 */
export function announce(text, { urgent = false } = {}) {
  find(urgent ? "urgent" : "polite").textContent = text;
}

/**
 * When the button that had the focus is gone, the focus goes to the title of its view, not to the top of the page.
 *
 * @param {HTMLElement} view
 */
export function keepFocus(view) {
  if (document.activeElement === document.body && !view.hidden) view.querySelector("h1")?.focus();
}

/**
 * A button that copies a text, and says that it did.
 *
 * @param {string} text
 * @param {string} what  such as "request id"
 * @returns {HTMLElement}
 */
export function makeCopyButton(text, what) {
  const button = make("button", { type: "button", class: "small", text: "Copy", "aria-label": `Copy the ${what}` });
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
      announce(`The ${what} was copied.`);
    } catch {
      button.textContent = "Select and copy by hand";
    }
  });
  return button;
}
