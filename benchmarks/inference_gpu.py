"""What inference costs on a GPU: graphs of towers beside none, LitServe, and bare forward passes.

    python -m benchmarks.inference_gpu

As `benchmarks.inference`, in one part for each model. Every server computes in bfloat16.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from benchmarks.inference_figures import gpu_figures
from benchmarks.serving import latency, throughput
from benchmarks.suite import Part, run

MODELS = ("ViT-B-32", "ViT-B-16", "ViT-L-14")

_LITSERVE = [
    {"threads": 1, "batch": b, "wait": w, "workers": n, "fast_queue": q, "api_servers": 1}
    for b, w, n, q in ((1, 0.0, 8, True), (8, 0.005, 4, False))
]


def _measure(model: str, alone: Mapping[str, Any], loaded: Mapping[str, Any]) -> dict[str, Any]:
    asked: dict[str, Any] = {"models": (model,), "device": "cuda"}
    return {
        "latency": latency.measure(**asked, **alone),
        "throughput": throughput.measure(**asked, peers_dtype="bfloat16", **loaded),
    }


PARTS = {
    model: Part(
        partial(_measure, model),
        {
            "alone": {"seconds": 4.0, "rounds": 2},
            "loaded": {
                "clients": (1, 16, 64),
                "seconds": 2.0,
                "rounds": 2,
                "sweep": {"litserve": _LITSERVE},
                "open_shares": (0.5, 0.8),
                "ours_as": {"ours": {}, "ours_eager": {"serving_graphs": False}},
            },
        },
        {
            "alone": {"seconds": 1.0, "rounds": 1},
            "loaded": {
                "clients": (1, 4),
                "seconds": 1.0,
                "rounds": 1,
                "sweep": {"litserve": _LITSERVE[:1]},
                "open_shares": (0.5,),
                "ours_as": {"ours": {}, "ours_eager": {"serving_graphs": False}},
            },
        },
    )
    for model in MODELS
}

if __name__ == "__main__":
    run("python -m benchmarks.inference_gpu", __doc__.splitlines()[0], PARTS, gpu_figures)
