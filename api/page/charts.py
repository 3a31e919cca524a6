"""What charts need: Vega in one file, and the definitions, both made when first asked for.

Nothing of it is built beforehand or fetched from elsewhere: vl-convert has Vega inside and bundles
it in a second and a half (docs/decisions/page.md).
"""

from __future__ import annotations

import json
from functools import cache

from starlette.concurrency import run_in_threadpool

from api.page.assets import Asset, asset
from core.charts import NAMES
from core.charts import definition as vega_lite
from core.errors import NotFound


async def bundle() -> Asset:
    """vega-embed with everything it needs, as a script."""
    return await run_in_threadpool(_bundle)


async def definition(name: str) -> Asset:
    """One of `core.charts`, as JSON. Raises NotFound."""
    if name not in NAMES:
        raise NotFound(f"There is no chart {name!r}; there are {', '.join(NAMES)}.")
    return await run_in_threadpool(_definition, name)


@cache
def _bundle() -> Asset:
    import vl_convert  # a quarter of a second, and a process's first chart is soon enough

    script = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return asset("text/javascript", script.encode())


@cache
def _definition(name: str) -> Asset:
    return asset("application/json", json.dumps(vega_lite(name)).encode())
