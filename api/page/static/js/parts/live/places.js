// Where a reader of step metrics stands: a seed and a step of it, in the order that they come.

/** Before the first step. */
export const START = { seed: -1, step: -1 };

/** Whether `a` comes after `b`. */
export const isAfter = (a, b) => a.seed > b.seed || (a.seed === b.seed && a.step > b.step);

/** As the API takes it. */
export const written = (place) => (place.seed < 0 ? "start" : `${place.seed}.${place.step}`);
