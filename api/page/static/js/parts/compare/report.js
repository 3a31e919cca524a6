// A comparison's report: its plots here, its page and numbers to take along.

import { h } from "../../core/dom.js";

const FORMATS = [["html", "Report (a page for the browser)"], ["csv", "Numbers as CSV"], ["json", "All of it as JSON"]];
const PLOTS = [
  ["plane.png", "ID accuracy against the mean over shifted splits"],
  ["splits.png", "Accuracy on every split"],
  ["calibration.png", "Calibration"],
  ["cost.png", "What each contender cost"],
];

/** Nothing before there is a report. The service sends it as a file, never as a page of this site. */
export function reportLinks(comparison) {
  if (!comparison.report_files["comparison.json"]) return null;
  return FORMATS.map(
    ([format, title]) => h(
      "a",
      { href: `/v1/comparisons/${comparison.id}/report?format=${format}`, download: "", target: "_blank" },
      title,
    ),
  );
}

export function plots(comparison) {
  return PLOTS.filter(([name]) => comparison.report_files[name]).map(([name, title]) =>
    h(
      "figure",
      { class: "plot" },
      h("figcaption", {}, title),
      h(
        "img",
        {
          src: `/v1/files/${comparison.report_files[name]}/content`,
          loading: "lazy",
          alt: `${title}, of ${comparison.contenders.length} contenders; the report has the numbers.`,
        },
      ),
    ),
  );
}
