/** One film in the list. Made once and updated in place, so that the focus stays where it is. */

import { make } from "./element.js";

const STATES = {
  waiting: { mark: "○", text: "waiting" },
  sending: { mark: "↑", text: "sending" },
  reading: { mark: "◐", text: "being read" },
  answered: { mark: "●", text: "answered" },
  refused: { mark: "⊘", text: "refused" },
  failed: { mark: "!", text: "not answered" },
  cancelled: { mark: "–", text: "cancelled" },
};

export class WorklistRow {
  #film;
  #mark = make("span", { class: "mark", "aria-hidden": "true" });
  #says = make("span", { class: "says" });
  #reader = make("span", { class: "reader", text: "▲ to a reader" });
  #select;
  #cancel;
  #retry;

  /**
   * @param {import("./queue.js").QueuedFilm} film
   * @param {{onSelect: () => void, onCancel: () => void, onRetry: () => void}} actions
   */
  constructor(film, { onSelect, onCancel, onRetry }) {
    this.#film = film;
    const name = make("span", { class: "name" }, make("span", { class: "ordinal", text: `${film.number}` }), film.name);
    this.#select = make("button", { type: "button", class: "film-row", click: onSelect }, this.#mark, name, this.#says, this.#reader);
    const label = `film ${film.number}`;
    this.#cancel = make("button", { type: "button", class: "small", text: "Cancel", "aria-label": `Cancel ${label}` });
    this.#retry = make("button", { type: "button", class: "small", text: "Try again", "aria-label": `Try ${label} again` });
    this.#cancel.addEventListener("click", () => this.#act(onCancel));
    this.#retry.addEventListener("click", () => this.#act(onRetry));
    this.element = make("li", {}, this.#select, this.#cancel, this.#retry);
    this.#select.addEventListener("keydown", (event) => this.#walk(event));
    this.update();
  }

  update() {
    const film = this.#film;
    const { mark, text } = STATES[film.state];
    this.#mark.textContent = mark;
    this.#says.textContent = film.answer ? film.answer.headline : this.#progress(text);
    this.#reader.hidden = !film.answer?.referral.to_reader;
    this.#cancel.hidden = !film.isOpen;
    this.#retry.hidden = film.state !== "failed" && film.state !== "cancelled";
    this.element.dataset.state = film.state;
    this.element.toggleAttribute("data-open", film.isOpen);
  }

  /** @param {boolean} isSelected */
  mark(isSelected) {
    if (isSelected) this.#select.setAttribute("aria-current", "true");
    else this.#select.removeAttribute("aria-current");
  }

  /** @param {string} text */
  #progress(text) {
    const film = this.#film;
    if (film.state === "sending") return `${text} ${Math.round(100 * film.sent)} %`;
    if (film.state === "refused" || film.state === "failed") return `${text}: ${film.problem?.code || film.problem?.status}`;
    return text;
  }

  /**
   * The button that was pressed vanishes: the focus goes to the film.
   *
   * @param {() => void} action
   */
  #act(action) {
    this.#select.focus();
    action();
  }

  /** @param {KeyboardEvent} event */
  #walk(event) {
    const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const other = /** @type {any} */ (this.element)[step];
    other?.querySelector(".film-row").focus();
  }
}
