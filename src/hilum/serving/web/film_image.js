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
   * @param {import("./types.js").Answer} answer
   * @returns {Promise<FilmImage | null>} null when the answer came without its film
   */
  static async fromAnswer(answer) {
    if (!answer.film_png) return null;
    const heat = answer.explanation?.heatmap_png;
    const shown = heat && !answer.explanation?.withheld ? decode(heat) : null;
    return new FilmImage(await decode(answer.film_png), await shown);
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

/** @param {string} base64 */
function decode(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return createImageBitmap(new Blob([bytes], { type: "image/png" }));
}
