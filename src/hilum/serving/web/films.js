/** The reading room: choose or drop films, follow them in the list, look at one film and its answer. */

import { showAnswer } from "./answer.js";
import { announce, say } from "./element.js";
import { counted } from "./format.js";
import { FilmQueue } from "./queue.js";
import { Viewer } from "./viewer.js";
import { WorklistRow } from "./worklist.js";

const WHY_PAUSED = {
  429: "This key reached its limit of requests.",
  503: "The service is busy or not ready.",
};

/**
 * @param {import("./session.js").Session} session
 * @param {HTMLElement} place
 * @returns {() => void} leave: stops what runs and forgets every film
 */
export function showFilms(session, place) {
  const part = (/** @type {string} */ id) => /** @type {any} */ (place.querySelector(`#${id}`));
  const queue = new FilmQueue(session.api);
  const viewer = new Viewer(place);
  /** @type {Map<import("./queue.js").QueuedFilm, WorklistRow>} */
  const rows = new Map();
  /** @type {import("./queue.js").QueuedFilm | null} */
  let selected = null;
  /** Which model answered last, or why none did: news for the banners. */
  let serviceState = "";

  const select = (/** @type {import("./queue.js").QueuedFilm} */ film) => {
    selected = film;
    for (const [one, row] of rows) row.mark(one === film);
    void viewer.show(film);
    showAnswer(part("answer"), film, session, () => queue.overrule(film));
  };

  const addFiles = (/** @type {FileList | File[] | undefined} */ files) => {
    if (!files?.length) return;
    place.querySelector(".reading-room")?.classList.remove("is-empty");
    const added = queue.add(files);
    announce(`${counted(added.length, "film")} added.`);
    select(added[0]);
  };

  queue.addEventListener("change", (event) => {
    const film = /** @type {CustomEvent} */ (event).detail;
    if (!queue.films.includes(film)) return;
    if (!rows.has(film)) {
      const row = new WorklistRow(film, {
        onSelect: () => select(film),
        onCancel: () => queue.cancel(film),
        onRetry: () => queue.retry(film),
      });
      rows.set(film, row);
      part("items").append(row.element);
    }
    rows.get(film)?.update();
    if (film === selected) select(film);
    if (!film.isOpen) announceFilm(film, queue.films);
    const state = film.answer ? `${film.answer.model.name} ${film.answer.model.fallback}` : film.problem?.status === 503 ? film.problem.code : "";
    if (state && state !== serviceState) {
      serviceState = state;
      void session.refresh();
    }
    updateProgress();
  });

  queue.addEventListener("pause", (event) => {
    const pause = /** @type {CustomEvent} */ (event).detail;
    const why = pause && (WHY_PAUSED[/** @type {429 | 503} */ (pause.problem.status)] ?? "");
    say(part("pause"), pause ? `${why} Nothing is lost: sending goes on in ${pause.seconds} s.` : null);
  });

  const updateProgress = () => {
    const all = queue.films.length;
    const done = queue.films.filter((film) => !film.isOpen).length;
    const failed = queue.films.some((film) => film.state === "failed");
    part("progress").hidden = all === 0;
    part("done").max = Math.max(1, all);
    part("done").value = done;
    part("done-text").textContent = `${done} of ${counted(all, "film")} done`;
    part("cancel-all").hidden = done === all;
    part("retry-all").hidden = !failed;
    part("clear").hidden = done !== all || all === 0;
  };

  part("files").addEventListener("change", () => {
    addFiles(part("files").files);
    part("files").value = "";
  });
  part("cancel-all").addEventListener("click", () => {
    queue.cancelAll();
    part("files").focus();
  });
  part("retry-all").addEventListener("click", () => {
    for (const film of queue.films.filter((one) => one.state === "failed")) queue.retry(film);
    part("files").focus();
  });
  part("clear").addEventListener("click", () => {
    queue.clear();
    rows.clear();
    selected = null;
    part("items").replaceChildren();
    part("answer").replaceChildren();
    void viewer.show(null);
    updateProgress();
    place.querySelector(".reading-room")?.classList.add("is-empty");
    part("files").focus();
  });
  const stopDropping = acceptDrops(place, addFiles);
  return () => {
    stopDropping();
    viewer.close();
    queue.clear();
  };
}

/**
 * Take files dropped anywhere on the page, while the view is shown.
 *
 * @param {HTMLElement} place
 * @param {(files: FileList | undefined) => void} onFiles
 * @returns {() => void} stop
 */
function acceptDrops(place, onFiles) {
  const stop = new AbortController();
  const room = /** @type {HTMLElement} */ (place.querySelector(".reading-room"));
  const over = (/** @type {DragEvent} */ event) => {
    event.preventDefault(); // or the browser opens the film in place of the page
    room.classList.toggle("is-target", !place.hidden);
  };
  const gone = () => room.classList.remove("is-target");
  document.addEventListener("dragover", over, { signal: stop.signal });
  document.addEventListener("dragleave", (event) => event.relatedTarget === null && gone(), { signal: stop.signal });
  document.addEventListener(
    "drop",
    (event) => {
      event.preventDefault();
      gone();
      if (!place.hidden) onFiles(event.dataTransfer?.files);
    },
    { signal: stop.signal },
  );
  return () => stop.abort();
}

/**
 * @param {import("./queue.js").QueuedFilm} film
 * @param {import("./queue.js").QueuedFilm[]} all
 */
function announceFilm(film, all) {
  const which = `Film ${film.number} of ${all.length}`;
  if (film.answer) {
    const reader = film.answer.referral.to_reader ? " A reader should see it." : "";
    announce(`${which}: ${film.answer.headline}.${reader}`);
  } else if (film.state !== "cancelled") {
    announce(`${which}: not classified. ${film.problem?.message ?? ""}`, { urgent: true });
  }
}
