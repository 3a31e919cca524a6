"""Which method to keep: the stored results of several finished jobs, set side by side.

    from core.learning.comparison.contender import JobFiles, Source
    from core.learning.comparison.document import Cost, Provenance
    from core.learning.comparison.findings import compare
    from core.learning.comparison.write import write_comparison

    files = JobFiles(Path("results.json"), Path("predictions.parquet"), row="fine_tuned")
    source = Source("ft", "FT", "Fine-tuning", "Wortsman et al. 2022", (files,), (Cost(...),))
    write_comparison(compare([source, ...], Provenance(...)), Path("report"))

`contender` reads, `findings` and `claims` compute, `verdict` says it in words; the result is one
`document.Comparison`, from which `tables`, `charts`, `page` and `write` render without the
predictions. `document`, `tables` and `markdown` import neither torch nor a chart library.
"""
