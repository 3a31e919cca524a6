"""What inference costs, beside LitServe, BentoML and forward passes without a server.

    python -m benchmarks.inference
    python -m benchmarks.inference --only latency --small

The peers are installed the first time, into a directory that git ignores, and asked with the
settings that were best of a sweep, which is kept with the results. Wants the machine for itself.
"""

from __future__ import annotations

from benchmarks.inference_figures import figures
from benchmarks.serving import held, hostile, latency, throughput
from benchmarks.suite import Part, run

_LITSERVE = [
    {"threads": t, "batch": b, "wait": w, "workers": n, "fast_queue": q, "api_servers": 1}
    for t, b, w, n, q in (
        (1, 1, 0.0, 1, False),
        (1, 1, 0.0, 2, False),
        (1, 1, 0.0, 2, True),
        (2, 8, 0.005, 1, False),
        (2, 32, 0.02, 1, False),
        (1, 8, 0.005, 2, False),
    )
]
_BENTOML = [
    {"threads": t, "batch": b, "workers": n}
    for t, b, n in ((1, 8, 1), (2, 8, 1), (2, 32, 1), (1, 8, 2))
]

_WHOLE = {"serving_reduced_decoding": False}
_FP32 = {"serving_precision": "fp32"}

PARTS = {
    "latency": Part(
        latency.measure,
        {"models": ("demo", "ViT-B-32"), "seconds": 20.0, "rounds": 5},
        {"models": ("demo",), "seconds": 1.0, "rounds": 1},
    ),
    "throughput": Part(
        throughput.measure,
        {
            "models": ("demo", "ViT-B-32"),
            "clients": (1, 4, 16, 64),
            "seconds": 4.0,
            "rounds": 5,
            "sweep": {"litserve": _LITSERVE, "bentoml": _BENTOML},
            "open_shares": (0.5, 0.8),
            "ours_as": {"ours": {}, "ours_whole": _WHOLE, "ours_fp32": _FP32},
        },
        {
            "models": ("demo",),
            "clients": (1, 4),
            "seconds": 1.0,
            "rounds": 1,
            "sweep": {"litserve": _LITSERVE[:1], "bentoml": _BENTOML[:1]},
            "open_shares": (0.5,),
            "ours_as": {"ours": {}, "ours_whole": _WHOLE, "ours_fp32": _FP32},
        },
    ),
    "held": Part(
        held.measure,
        {"models": ("ViT-B-32",), "n": 3, "seconds": 3.0, "settings": {"auto": {}, "fp32": _FP32}},
        {"models": ("demo",), "n": 1, "seconds": 1.0, "settings": {"auto": {}}},
    ),
    "hostile": Part(
        hostile.measure,
        {
            "models": ("demo", "ViT-B-32"),
            "limits": {"none": None, "600 a minute": 600},
            "share": 0.4,
            "hostile": 2,
            "seconds": 12.0,
            "rounds": 5,
        },
        {
            "models": ("demo",),
            "limits": {"none": None},
            "share": 0.4,
            "hostile": 1,
            "seconds": 3.0,
            "rounds": 1,
        },
    ),
}

if __name__ == "__main__":
    run("python -m benchmarks.inference", __doc__.splitlines()[0], PARTS, figures)
