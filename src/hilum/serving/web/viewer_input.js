/**
 * Hands on the viewer. As radiologists are used to it: drag for window (across) and level (up and down), Shift or
 * the middle button to pan, the right button or the wheel to zoom; two fingers pan and zoom.
 */

const GREYS_PER_PX = 0.75;
const KEY_GREYS = 8;
const KEY_PX = 40;
const KEY_ZOOM = 1.25;

/** @typedef {import("./viewer.js").Viewer} Viewer */

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Viewer} viewer
 */
export function listenToPointer(canvas, viewer) {
  /** @type {Map<number, PointerEvent>} */
  const held = new Map();
  const locate = (/** @type {MouseEvent} */ event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left - box.width / 2, y: event.clientY - box.top - box.height / 2 };
  };
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    held.set(event.pointerId, event);
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = held.get(event.pointerId);
    if (before === undefined) return viewer.probe(locate(event));
    const moved = { x: event.clientX - before.clientX, y: event.clientY - before.clientY };
    const other = [...held.values()].find((one) => one.pointerId !== event.pointerId);
    if (other) pinch(before, event, other, locate(other), viewer);
    else drag(event, moved, viewer);
    held.set(event.pointerId, event);
    return undefined;
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(end, (event) => held.delete(/** @type {PointerEvent} */ (event).pointerId));
  }
  canvas.addEventListener("pointerleave", () => viewer.probe(null));
  canvas.addEventListener("dblclick", () => viewer.fit());
  canvas.addEventListener(
    "wheel",
    (event) => {
      // Where the page itself scrolls, the wheel belongs to it until the film has the focus.
      const pageScrolls = document.documentElement.scrollHeight > window.innerHeight;
      if (pageScrolls && document.activeElement !== canvas && !event.ctrlKey) return;
      event.preventDefault();
      viewer.zoomBy(Math.exp(-event.deltaY / 500), locate(event));
    },
    { passive: false },
  );
}

/**
 * @param {PointerEvent} event
 * @param {{x: number, y: number}} moved
 * @param {Viewer} viewer
 */
function drag(event, moved, viewer) {
  const isMiddle = (event.buttons & 4) !== 0;
  const isRight = (event.buttons & 2) !== 0;
  if (isMiddle || event.shiftKey || viewer.isPanning) viewer.panBy(moved.x, moved.y);
  else if (isRight) viewer.zoomBy(Math.exp(-moved.y / 150));
  else viewer.windowBy(moved.y * GREYS_PER_PX, moved.x * GREYS_PER_PX);
}

/**
 * @param {PointerEvent} before
 * @param {PointerEvent} now
 * @param {PointerEvent} other  the finger that rests
 * @param {{x: number, y: number}} about
 * @param {Viewer} viewer
 */
function pinch(before, now, other, about, viewer) {
  const span = (/** @type {PointerEvent} */ event) =>
    Math.hypot(event.clientX - other.clientX, event.clientY - other.clientY) || 1;
  viewer.zoomBy(span(now) / span(before), about);
  viewer.panBy((now.clientX - before.clientX) / 2, (now.clientY - before.clientY) / 2);
}

/**
 * Keys work while the film has the focus, so that they cannot be hit by speech input or while typing elsewhere.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {Viewer} viewer
 */
export function listenToKeys(canvas, viewer) {
  /** @type {Record<string, () => void>} */
  const actions = {
    "+": () => viewer.zoomBy(KEY_ZOOM),
    "=": () => viewer.zoomBy(KEY_ZOOM), // the plus key without Shift
    "-": () => viewer.zoomBy(1 / KEY_ZOOM),
    0: () => viewer.fit(),
    ArrowLeft: () => viewer.panBy(KEY_PX, 0),
    ArrowRight: () => viewer.panBy(-KEY_PX, 0),
    ArrowUp: () => viewer.panBy(0, KEY_PX),
    ArrowDown: () => viewer.panBy(0, -KEY_PX),
    w: () => viewer.windowBy(-KEY_GREYS, 0),
    s: () => viewer.windowBy(KEY_GREYS, 0),
    a: () => viewer.windowBy(0, -KEY_GREYS),
    d: () => viewer.windowBy(0, KEY_GREYS),
    i: () => viewer.invert(),
    h: () => viewer.toggleHeat(),
  };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (act === undefined) return;
    event.preventDefault();
    act();
  });
}
