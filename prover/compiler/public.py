"""Which parameters of a module its program shows.

A program is public: it is in the model's id and on the chain. Weights are committed tensors, and
nothing of them is in the program but their shapes and scales (docs/protocol/ops.md#public). What an
operator takes a parameter for decides which of the two it is: here stand the arguments that are
committed whatever they hold; in any other a parameter's numbers are part of the program.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from prover.compiler.lower.network import HIDDEN


class Shown(NamedTuple):
    """A parameter or stored buffer, by torch's name, and what of it the program shows."""

    parameter: str
    what: str


HIDES = "which cells it hides"
KINDS = {"b": "its truth values", "i": "its whole numbers", "u": "its whole numbers"}
ANY = (0, 1, 2, 3, 4, 5)
PAIRS = (
    "add", "sub", "rsub", "mul", "div", "matmul", "mm", "bmm", "mv", "dot", "outer", "maximum",
    "minimum", "gt.Tensor", "ge.Tensor", "lt.Tensor", "le.Tensor", "cosine_similarity",
    "pairwise_distance",
)  # fmt: skip
COMMITTED: dict[str, tuple[int, ...]] = {  # by operator, or by one form of it
    **dict.fromkeys(PAIRS, (0, 1)),
    **dict.fromkeys(("linear", "prelu", "conv1d", "conv2d"), (1, 2)),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "clamp.Tensor"), (1, 2)),
    **dict.fromkeys(("layer_norm", "group_norm", "bilinear"), (2, 3)),
    **dict.fromkeys(("batch_norm", "instance_norm"), (1, 2, 3, 4)),
    **dict.fromkeys(("addmm", "baddbmm", "addcmul", "lerp"), (0, 1, 2)),
    **dict.fromkeys(("embedding", "embedding_bag", "cat", "stack", "hstack", "vstack"), (0,)),
    **dict.fromkeys(("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"), ANY),
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu", "where"), (1, 2)),
    **dict.fromkeys(("rms_norm", "masked_fill"), (2,)),
    "einsum": (1,),
    "scaled_dot_product_attention": (0, 1, 2, 3),
}


def seen(
    target: str, args: Sequence[Any], origins: Sequence[frozenset[str]]
) -> tuple[set[Shown], bool]:
    """What a program shows of the parameters that each argument of torch's operator is made of, and
    whether there are others, which it commits to."""
    name = target.removeprefix("aten.")
    kind = name.split(".")[0]
    places = COMMITTED.get(name, COMMITTED.get(kind, ()))
    found: set[Shown] = set()
    committed = False
    for place, (arg, parameters) in enumerate(zip(args, origins, strict=True)):
        if not parameters:
            continue
        what = _what(arg, place in places)
        found |= {Shown(p, f"{what}, in {kind}") for p in parameters if what}
        committed |= not what
    return found, committed


def _what(arg: Any, committed: bool) -> str:
    """What is public of an argument; of one that is committed, what is taken for structure."""
    arrays = [a for a in (arg if isinstance(arg, tuple) else (arg,)) if isinstance(a, np.ndarray)]
    for array in arrays:
        if array.dtype.kind in KINDS:
            return KINDS[array.dtype.kind]
    if committed:
        return HIDES if any((a.real <= HIDDEN).any() for a in arrays) else ""
    return "its numbers"
