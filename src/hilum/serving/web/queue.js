/**
 * Films on their way to the service: two at a time, each failing alone. Knows nothing about the page.
 *
 * When the service says that there were too many requests (429) or that it cannot answer now (503), the film goes
 * back to the head of the queue and nothing is sent until the time that the service named has passed.
 */

import { Problem } from "./api.js";
import { takePictures, takeRejectedFilm } from "./film_image.js";
import { matchesFile } from "./integrity.js";

/** @typedef {"waiting" | "sending" | "reading" | "answered" | "refused" | "failed" | "cancelled"} State */

const AT_ONCE = 2;
const MOST_ATTEMPTS = 6;
const DEFAULT_PAUSE_S = 5;
const MOST_BYTES = 64 * 1024 * 1024; // the service's limit: it would answer 413 after the whole upload

/** The film itself is at fault: trying again cannot help. */
const OF_THE_FILM = new Set([413, 415, 422]);
/** The service asks to wait. */
const ASKS_TO_WAIT = new Set([429, 503]);

export class QueuedFilm {
  /**
   * @param {number} number  counted from 1 in this session
   * @param {File} file
   */
  constructor(number, file) {
    this.number = number;
    this.file = file;
    /** Shown on this page only. */
    this.name = file.name || `film ${number}`;
    /** @type {State} */
    this.state = "waiting";
    /** Share of the bytes that were sent. */
    this.sent = 0;
    this.attempts = 0;
    /** @type {import("./types.js").Answer | null} */
    this.answer = null;
    /** @type {{film: Blob | null, heat: Blob | null} | null} */
    this.pictures = null;
    /** @type {Problem | null} */
    this.problem = null;
    /** A reader has looked at it: it is to be answered although the gate rejects it. */
    this.overrule = false;
    /** @type {AbortController | null} */
    this.abort = null;
  }

  get isOpen() {
    return this.state === "waiting" || this.state === "sending" || this.state === "reading";
  }
}

/** Fires "change" (detail: the film) and "pause" (detail: {seconds, problem} or null). */
export class FilmQueue extends EventTarget {
  #api;
  #running = 0;
  /** @type {number} */
  #pausedUntil = 0;
  #timer = 0;

  /** @param {import("./api.js").Api} api */
  constructor(api) {
    super();
    this.#api = api;
    /** @type {QueuedFilm[]} */
    this.films = [];
  }

  /**
   * @param {Iterable<File>} files
   * @returns {QueuedFilm[]}
   */
  add(files) {
    const first = (this.films.at(-1)?.number ?? 0) + 1;
    const added = [...files].map((file, index) => new QueuedFilm(first + index, file));
    this.films.push(...added);
    for (const film of added) {
      if (film.file.size > MOST_BYTES || film.file.size === 0) this.#refuseHere(film);
      else this.#tell(film);
    }
    this.#pump();
    return added;
  }

  /** @param {QueuedFilm} film */
  cancel(film) {
    if (film.abort) film.abort.abort();
    else if (film.isOpen) this.#settle(film, "cancelled");
  }

  cancelAll() {
    for (const film of this.films) if (film.isOpen) this.cancel(film);
    this.#resume();
  }

  /** @param {QueuedFilm} film */
  retry(film) {
    Object.assign(film, { state: "waiting", attempts: 0, sent: 0, problem: null });
    this.#tell(film);
    this.#pump();
  }

  /**
   * Ask again about a rejected film: a reader has looked at it.
   *
   * @param {QueuedFilm} film
   */
  overrule(film) {
    film.overrule = true;
    this.retry(film);
  }

  /** Stop, and forget every film and answer. */
  clear() {
    this.cancelAll();
    this.films = [];
  }

  #pump() {
    if (this.#pausedUntil > Date.now()) return;
    while (this.#running < AT_ONCE) {
      const film = this.films.find((one) => one.state === "waiting");
      if (film === undefined) return;
      void this.#send(film);
    }
  }

  /** @param {QueuedFilm} film */
  async #send(film) {
    this.#running += 1;
    film.attempts += 1;
    film.abort = new AbortController();
    film.state = "sending";
    this.#tell(film);
    const onSent = (/** @type {number} */ share) => {
      film.sent = share;
      film.state = share < 1 ? "sending" : "reading";
      this.#tell(film);
    };
    try {
      const answer = await this.#api.explain(film.file, { signal: film.abort.signal, onSent, overrule: film.overrule });
      await matchesFile(answer, film.file);
      film.pictures = takePictures(answer);
      film.answer = answer;
      this.#settle(film, "answered");
    } catch (error) {
      const problem = error instanceof Problem ? error : new Problem(-1, { detail: "The answer cannot be read." });
      film.problem = problem;
      film.pictures = takeRejectedFilm(problem);
      this.#handle(film, problem);
    } finally {
      film.abort = null;
      this.#running -= 1;
      this.#pump();
    }
  }

  /**
   * @param {QueuedFilm} film
   * @param {Problem} problem
   */
  #handle(film, problem) {
    if (problem.code === "cancelled") return this.#settle(film, "cancelled");
    if (OF_THE_FILM.has(problem.status)) return this.#settle(film, "refused");
    if (problem.code === "lockdown") {
      this.#settle(film, "failed");
      return this.#failWaiting(problem);
    }
    if (!ASKS_TO_WAIT.has(problem.status) || film.attempts >= MOST_ATTEMPTS) return this.#settle(film, "failed");
    film.state = "waiting";
    film.sent = 0;
    this.#tell(film);
    return this.#pause(problem);
  }

  /** @param {Problem} problem */
  #failWaiting(problem) {
    for (const film of this.films.filter((one) => one.state === "waiting")) {
      film.problem = problem;
      this.#settle(film, "failed");
    }
  }

  /** @param {QueuedFilm} film */
  #refuseHere(film) {
    const isEmpty = film.file.size === 0;
    film.problem = new Problem(isEmpty ? 422 : 413, {
      code: isEmpty ? "empty" : "too_large",
      detail: isEmpty ? "The file is empty." : "The file is larger than 64 MB. It was not sent.",
      fix: isEmpty ? "Export the film again." : "Export the film itself, as DICOM, PNG or JPEG.",
    });
    this.#settle(film, "refused");
  }

  /** @param {Problem} problem */
  #pause(problem) {
    const until = Date.now() + 1000 * (problem.retryAfterS ?? DEFAULT_PAUSE_S);
    this.#pausedUntil = Math.max(this.#pausedUntil, until);
    window.clearInterval(this.#timer);
    const tick = () => {
      const seconds = Math.ceil((this.#pausedUntil - Date.now()) / 1000);
      if (seconds <= 0) this.#resume();
      else this.dispatchEvent(new CustomEvent("pause", { detail: { seconds, problem } }));
    };
    this.#timer = window.setInterval(tick, 500);
    tick();
  }

  #resume() {
    window.clearInterval(this.#timer);
    this.#pausedUntil = 0;
    this.dispatchEvent(new CustomEvent("pause", { detail: null }));
    this.#pump();
  }

  /**
   * @param {QueuedFilm} film
   * @param {State} state
   */
  #settle(film, state) {
    film.state = state;
    this.#tell(film);
  }

  /** @param {QueuedFilm} film */
  #tell(film) {
    this.dispatchEvent(new CustomEvent("change", { detail: film }));
  }
}
