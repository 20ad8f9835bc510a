// What fingers, mouse, wheel and keys do on a canvas, as panning, zooming, pointing and pressing.

const STILL = 5; // pixels that a press may move
const FINGER = 1.8; // how much farther a finger reaches than a mouse

export class Gestures {
  constructor(canvas, handlers) {
    Object.assign(this, { canvas, handlers, down: new Map(), moved: 0 });
    canvas.addEventListener("pointerdown", (event) => this.began(event));
    canvas.addEventListener("pointermove", (event) => this.went(event));
    canvas.addEventListener("pointerup", (event) => this.ended(event));
    canvas.addEventListener("pointercancel", (event) => this.down.delete(event.pointerId));
    canvas.addEventListener("pointerleave", () => this.down.size || handlers.onPoint(null, null));
    canvas.addEventListener("wheel", (event) => this.wheeled(event), { passive: false });
    canvas.addEventListener("dblclick", (event) => handlers.onZoom(2, ...this.place(event)));
    canvas.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (handlers.onKey(event)) event.preventDefault();
    });
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  began(event) {
    if (event.button) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.down.set(event.pointerId, this.place(event));
    if (this.down.size === 1) this.moved = 0;
  }

  went(event) {
    const now = this.place(event);
    const before = this.down.get(event.pointerId);
    if (!before) {
      if (event.pointerType !== "touch") this.handlers.onPoint(...now);
      return;
    }
    const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
    this.moved += Math.hypot(dx, dy);
    if (this.moved > STILL) this.canvas.classList.add("is-moving");
    if (this.down.size === 2) this.pinched(event.pointerId, now);
    else if (this.moved > STILL) this.handlers.onPan(dx, dy);
    this.down.set(event.pointerId, now);
  }

  pinched(id, now) {
    const [other] = [...this.down].filter(([each]) => each !== id).map(([, place]) => place);
    const before = this.down.get(id);
    const middle = (place) => [(place[0] + other[0]) / 2, (place[1] + other[1]) / 2];
    const apart = (place) => Math.max(1, Math.hypot(place[0] - other[0], place[1] - other[1]));
    const [from, to] = [middle(before), middle(now)];
    this.handlers.onPan(to[0] - from[0], to[1] - from[1]);
    this.handlers.onZoom(apart(now) / apart(before), ...to);
  }

  ended(event) {
    const isPress = this.down.size === 1 && this.moved <= STILL;
    this.down.delete(event.pointerId);
    this.canvas.classList.remove("is-moving");
    if (isPress) this.handlers.onPress(...this.place(event), event.pointerType === "touch" ? FINGER : 1);
  }

  wheeled(event) {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const speed = event.ctrlKey ? 0.01 : 0.0016; // a pinch on a touchpad comes as small steps with ctrl
    this.handlers.onZoom(Math.exp(-event.deltaY * lines * speed), ...this.place(event));
  }
}
