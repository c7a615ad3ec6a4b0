/** A film and its map as pixels that can be drawn. */

import { applyTable, makeTable } from "./windowing.js";

export class FilmImage {
  /**
   * @param {ImageBitmap} film
   * @param {ImageBitmap | null} heat
   */
  constructor(film, heat) {
    this.width = film.width;
    this.height = film.height;
    /** RGBA, stretched over the whole film: the network saw the film as a square. */
    this.heat = heat;
    this.canvas = new OffscreenCanvas(film.width, film.height);
    this.context = /** @type {OffscreenCanvasRenderingContext2D} */ (
      this.canvas.getContext("2d", { willReadFrequently: true })
    );
    this.context.drawImage(film, 0, 0);
    this.pixels = this.context.getImageData(0, 0, film.width, film.height);
    this.greys = new Uint8ClampedArray(film.width * film.height);
    for (let index = 0; index < this.greys.length; index += 1) this.greys[index] = this.pixels.data[4 * index];
  }

  /**
   * @param {{film: Blob | null, heat: Blob | null}} pictures
   * @returns {Promise<FilmImage | null>} null when the answer came without its film
   */
  static async fromPictures({ film, heat }) {
    if (film === null) return null;
    const [drawn, over] = await Promise.all([createImageBitmap(film), heat && createImageBitmap(heat)]);
    return new FilmImage(drawn, over);
  }

  /**
   * The file itself, where the browser can read it: what was refused, not what a model saw.
   *
   * @param {Blob} file
   * @returns {Promise<FilmImage | null>}
   */
  static async fromFile(file) {
    try {
      return new FilmImage(await createImageBitmap(file, { resizeWidth: 1024, resizeQuality: "high" }), null);
    } catch {
      return null;
    }
  }

  /**
   * @param {number} level
   * @param {number} width
   * @param {boolean} isInverted
   */
  window(level, width, isInverted) {
    applyTable(this.greys, makeTable(level, width, isInverted), this.pixels);
    this.context.putImageData(this.pixels, 0, 0);
  }

  /**
   * @param {number} x  pixels from the left of the film
   * @param {number} y  from its top
   * @returns {number | null} the grey value as stored
   */
  greyAt(x, y) {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return null;
    return this.greys[Math.floor(y) * this.width + Math.floor(x)];
  }
}

/**
 * Take the pictures out of an answer: as text they would weigh on a session of hundreds of films.
 *
 * @param {import("./types.js").Answer} answer
 * @returns {{film: Blob | null, heat: Blob | null}}
 */
export function takePictures(answer) {
  const { explanation } = answer;
  const heat = explanation && !explanation.withheld ? explanation.heatmap_png : null;
  const pictures = { film: decode(answer.film_png), heat: decode(heat) };
  answer.film_png = null;
  if (explanation) Object.assign(explanation, { heatmap_png: null, overlay_png: null });
  return pictures;
}

/**
 * @param {import("./api.js").Problem} problem
 * @returns {{film: Blob | null, heat: null} | null} null when the service did not send the film back
 */
export function takeRejectedFilm(problem) {
  const film = decode(problem.filmPng);
  problem.filmPng = null;
  return film && { film, heat: null };
}

/** @param {string | null} base64 */
function decode(base64) {
  if (!base64) return null;
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: "image/png" });
}
