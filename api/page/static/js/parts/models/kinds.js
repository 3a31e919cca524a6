// What kinds of models there are, in words.

export const KINDS = [["base", "Base"], ["fine_tuned", "Fine-tuned"], ["checkpoint", "Checkpoint"]];

export const kindOf = (model) => KINDS.find(([kind]) => kind === model.kind)?.[1] ?? model.kind;

export const hrefOf = (id) => `/models?model=${encodeURIComponent(id)}`;
