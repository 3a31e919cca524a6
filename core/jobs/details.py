"""What an event may carry beside its sentence: named values, at most two levels deep.

A bound on the shape, so that every client can be told what to expect.
"""

from __future__ import annotations

Scalar = str | int | float | bool | None
_Shallow = Scalar | list[Scalar] | dict[str, Scalar]
Detail = Scalar | list[_Shallow] | dict[str, _Shallow]
Details = dict[str, Detail]
