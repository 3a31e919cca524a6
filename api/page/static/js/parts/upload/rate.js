// How fast it goes, by the last seconds: an average since the beginning forgets that a line became slow.

const WINDOW = 10_000; // milliseconds
const ENOUGH = 1000;

export class Rate {
  #notes = [];

  /** So many bytes were sent by now (milliseconds). Less than before is a new beginning. */
  note(sent, now) {
    if (this.#notes.length && sent < this.#notes.at(-1).sent) this.#notes = [];
    this.#notes.push({ sent, now });
    while (this.#notes.length > 2 && this.#notes[1].now < now - WINDOW) this.#notes.shift();
  }

  /** After a pause what was before says nothing. */
  forget() {
    this.#notes = [];
  }

  /** Bytes a second, or null while too little is known. */
  get perSecond() {
    const [first, last] = [this.#notes[0], this.#notes.at(-1)];
    if (!first || last.now - first.now < ENOUGH) return null;
    return (1000 * (last.sent - first.sent)) / (last.now - first.now);
  }
}
