"""Which method to keep: the stored results of several finished jobs, set side by side.

    from core.learning.comparison.contender import Source
    from core.learning.comparison.document import Cost, Provenance
    from core.learning.comparison.findings import compare
    from core.learning.comparison.stored import JobFiles
    from core.learning.comparison.write import write_comparison

    files = JobFiles(Path("results.json"), Path("predictions.parquet"), row="fine_tuned")
    source = Source("ft", "FT", "Fine-tuning", "Wortsman et al. 2022", (files,), (Cost(...),))
    write_comparison(compare([source, ...], Provenance(...)), Path("report"))

`stored` and `contender` read, `figures`, `claims` and `findings` compute, `verdict` says it in
words; the result is one `document.Comparison`, from which `tables`, `charts`, `page`, `sheets`,
`markdown` and `write` render without the predictions. `document`, `tables` and `markdown` import
neither torch nor a chart library.
"""
