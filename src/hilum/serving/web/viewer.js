/** The film on a canvas: window and level, zoom and pan, inversion, and the heat over it. */

import { say } from "./element.js";
import { FilmImage } from "./film_image.js";
import { scored, short } from "./format.js";
import { listenToKeys, listenToPointer } from "./viewer_input.js";
import { WHOLE_RANGE } from "./windowing.js";

const MOST_ZOOM = 16;
const LEAST_ZOOM = 0.5;
const MOST_WIDTH = 512;

export class Viewer {
  #part;
  #canvas;
  #context;
  #resizing;
  /** @type {FilmImage | null} */
  #image = null;
  /** @type {import("./queue.js").QueuedFilm | null} */
  #film = null;
  #shownFor = "";
  #zoom = 1;
  #shift = { x: 0, y: 0 };
  #level = WHOLE_RANGE.level;
  #width = WHOLE_RANGE.width;
  #isInverted = false;
  #isHeatOn = true;
  #frame = 0;
  isPanning = false;

  /** @param {HTMLElement} place */
  constructor(place) {
    this.#part = (/** @type {string} */ id) => /** @type {any} */ (place.querySelector(`#${id}`));
    this.#canvas = this.#part("film");
    this.#context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d", { alpha: false }));
    this.#resizing = new ResizeObserver(() => this.#fitCanvas());
    this.#resizing.observe(this.#canvas);
    listenToPointer(this.#canvas, this);
    listenToKeys(this.#canvas, this);
    this.#listenToTools();
    void this.show(null);
  }

  close() {
    this.#resizing.disconnect();
    this.#image = null;
  }

  /** @param {import("./queue.js").QueuedFilm | null} film */
  async show(film) {
    const shownFor = film ? `${film.number} ${film.state}` : "";
    if (film !== null && film === this.#film && shownFor === this.#shownFor) return;
    this.#film = film;
    this.#shownFor = shownFor;
    this.#image = null;
    this.reset();
    const image = await this.#load(film);
    if (this.#shownFor !== shownFor) return; // another film was chosen meanwhile
    this.#image = image;
    this.#caption();
    this.reset();
  }

  /** @param {import("./queue.js").QueuedFilm | null} film */
  #load(film) {
    if (film?.pictures) return FilmImage.fromPictures(film.pictures);
    return film?.state === "refused" ? FilmImage.fromFile(film.file) : null;
  }

  reset() {
    this.#level = WHOLE_RANGE.level;
    this.#width = WHOLE_RANGE.width;
    this.#isInverted = false;
    this.#isHeatOn = true;
    this.fit();
    this.#window();
  }

  fit() {
    this.#zoom = 1;
    this.#shift = { x: 0, y: 0 };
    this.#draw();
  }

  /**
   * @param {number} factor
   * @param {{x: number, y: number}} [about]  point of the canvas that stays where it is, from its middle, CSS px
   */
  zoomBy(factor, about = { x: 0, y: 0 }) {
    const zoom = Math.min(MOST_ZOOM, Math.max(LEAST_ZOOM, this.#zoom * factor));
    const done = zoom / this.#zoom;
    this.#shift = {
      x: about.x - (about.x - this.#shift.x) * done,
      y: about.y - (about.y - this.#shift.y) * done,
    };
    this.#zoom = zoom;
    this.#draw();
  }

  /**
   * @param {number} x  CSS px to the right
   * @param {number} y  and down
   */
  panBy(x, y) {
    this.#shift = { x: this.#shift.x + x, y: this.#shift.y + y };
    this.#draw();
  }

  /**
   * @param {number} level  by how many grey values
   * @param {number} width
   */
  windowBy(level, width) {
    this.#level = Math.min(255, Math.max(0, this.#level + level));
    this.#width = Math.min(MOST_WIDTH, Math.max(2, this.#width + width));
    this.#window();
  }

  invert() {
    this.#isInverted = !this.#isInverted;
    this.#window();
  }

  toggleHeat() {
    this.#isHeatOn = !this.#isHeatOn;
    this.#draw();
  }

  togglePan() {
    this.isPanning = !this.isPanning;
    this.#part("pan").setAttribute("aria-pressed", String(this.isPanning));
  }

  /** @param {{x: number, y: number} | null} point  of the canvas, from its middle, CSS px */
  probe(point) {
    this.#write(point && this.#image ? this.#read(point) : "");
  }

  #listenToTools() {
    const on = (/** @type {string} */ id, /** @type {string} */ event, /** @type {() => void} */ act) =>
      this.#part(id).addEventListener(event, act);
    on("heat", "input", () => {
      this.#isHeatOn = true;
      this.#draw();
    });
    on("level", "input", () => this.windowBy(Number(this.#part("level").value) - this.#level, 0));
    on("width", "input", () => this.windowBy(0, Number(this.#part("width").value) - this.#width));
    on("zoom-in", "click", () => this.zoomBy(1.25));
    on("zoom-out", "click", () => this.zoomBy(0.8));
    on("fit", "click", () => this.fit());
    on("pan", "click", () => this.togglePan());
    on("invert", "click", () => this.invert());
    on("reset", "click", () => this.reset());
  }

  #window() {
    this.#image?.window(this.#level, this.#width, this.#isInverted);
    this.#part("invert").setAttribute("aria-pressed", String(this.#isInverted));
    this.#draw();
  }

  #fitCanvas() {
    const ratio = window.devicePixelRatio || 1;
    this.#canvas.width = Math.max(1, Math.round(this.#canvas.clientWidth * ratio));
    this.#canvas.height = Math.max(1, Math.round(this.#canvas.clientHeight * ratio));
    this.#paint();
  }

  #draw() {
    window.cancelAnimationFrame(this.#frame);
    this.#frame = window.requestAnimationFrame(() => this.#paint());
  }

  /** CSS px a pixel of the film takes, and where its corner lies from the middle of the canvas. */
  #place() {
    const { width, height } = /** @type {FilmImage} */ (this.#image);
    const scale = this.#zoom * Math.min(this.#canvas.clientWidth / width, this.#canvas.clientHeight / height);
    return { scale, left: this.#shift.x - (width * scale) / 2, top: this.#shift.y - (height * scale) / 2 };
  }

  #paint() {
    const context = this.#context;
    const ratio = this.#canvas.width / Math.max(1, this.#canvas.clientWidth);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
    this.#write("");
    if (this.#image === null) return;
    const { scale, left, top } = this.#place();
    const { width, height, heat, canvas } = this.#image;
    context.setTransform(ratio, 0, 0, ratio, this.#canvas.width / 2, this.#canvas.height / 2);
    context.imageSmoothingQuality = "high";
    context.drawImage(canvas, left, top, width * scale, height * scale);
    const opacity = Number(this.#part("heat").value) / 100;
    if (heat !== null && this.#isHeatOn && opacity > 0) {
      context.globalAlpha = opacity;
      context.drawImage(heat, left, top, width * scale, height * scale);
      context.globalAlpha = 1;
    }
  }

  /**
   * What lies under the pointer.
   *
   * @param {{x: number, y: number}} point
   */
  #read(point) {
    const { scale, left, top } = this.#place();
    const image = /** @type {FilmImage} */ (this.#image);
    const [x, y] = [(point.x - left) / scale, (point.y - top) / scale];
    const grey = image.greyAt(x, y);
    if (grey === null) return "";
    const heat = this.#film?.answer?.explanation?.heat;
    const cell = image.heat && heat?.[Math.floor((y / image.height) * heat.length)];
    const value = cell ? `  heat ${short(cell[Math.floor((x / image.width) * cell.length)])}` : "";
    return `  ·  grey ${grey}${value}`;
  }

  /** @param {string} probed */
  #write(probed) {
    const value = (/** @type {string} */ id, /** @type {string} */ text) => {
      this.#part(`${id}-value`).textContent = text;
    };
    const hasHeat = Boolean(this.#image?.heat);
    this.#part("level").value = String(this.#level);
    this.#part("width").value = String(this.#width);
    value("level", String(Math.round(this.#level)));
    value("width", String(Math.round(this.#width)));
    value("zoom", `${Math.round(100 * this.#zoom)} %`);
    const isWithheld = Boolean(this.#film?.answer?.explanation?.withheld);
    value("heat", !hasHeat ? (isWithheld ? "withheld" : "none") : this.#isHeatOn ? `${this.#part("heat").value} %` : "hidden");
    this.#part("heat").disabled = !hasHeat;
    const window = `W ${Math.round(this.#width)}  L ${Math.round(this.#level)}  ${Math.round(100 * this.#zoom)} %`;
    this.#part("corner-window").textContent = this.#image ? `${window}${this.#isInverted ? "  inverted" : ""}${probed}` : "";
  }

  #caption() {
    const answer = this.#film?.answer ?? null;
    const image = this.#image;
    const text = describe(this.#film, image);
    this.#canvas.setAttribute("aria-label", text);
    this.#part("corner-film").textContent = this.#film && image ? `${this.#film.number}  ${this.#film.name}` : "";
    this.#part("corner-model").textContent = answer
      ? `${scored(answer)}${answer.explanation?.withheld ? "\nheat withheld" : ""}`
      : image
        ? "not classified\nthe file as chosen"
        : "";
    const top = answer?.explanation?.heat_max;
    this.#part("scale").hidden = !image?.heat;
    this.#part("scale-top").textContent = short(top);
    say(this.#part("viewer-message"), image ? null : text);
    this.#part("tools").toggleAttribute("data-idle", image === null);
  }
}

/**
 * @param {import("./queue.js").QueuedFilm | null} film
 * @param {FilmImage | null} image
 */
function describe(film, image) {
  if (film === null) return "The film of the selected answer appears here.";
  if (image === null) {
    if (film.isOpen) return "The film appears here together with its answer.";
    return film.answer ? "The service did not send the film back." : "This film cannot be shown here.";
  }
  const size = `shown at ${image.width} by ${image.height} pixels`;
  if (!film.answer) return `Film ${film.number}, refused, ${size}`;
  const heat = image.heat ? "with heat over it" : "without heat";
  return `Film ${film.number}, called ${film.answer.headline}, ${heat}, ${size}`;
}
