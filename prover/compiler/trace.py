"""torch.export, without decompositions, to the list of operators between the input and the output.

Only here is torch imported. A graph is a chain for now: each operator reads the value of the one
before it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from prover.compiler.errors import CompileError, UnsupportedOp
from prover.quantizer import FloatArray

if TYPE_CHECKING:
    import torch


class _Previous:
    """The place of the previous node's value among a node's arguments."""

    def __repr__(self) -> str:
        return "PREVIOUS"


PREVIOUS: Final = _Previous()


@dataclass(frozen=True)
class Node:
    """One operator: torch's name for it, its arguments (parameters as float64), the shape that it
    makes.
    """

    name: str
    target: str
    args: tuple[Any, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Graph:
    """What a model computes from one input of this shape."""

    input_shape: tuple[int, ...]
    nodes: tuple[Node, ...]


def trace(module: torch.nn.Module, input_shape: tuple[int, ...]) -> Graph:
    """The operators of `module` in evaluation mode on one float input; raises CompileError or
    UnsupportedOp.
    """
    import torch

    module = copy.deepcopy(module).eval()
    floats = [p.dtype for p in module.parameters() if p.dtype.is_floating_point]
    example = torch.zeros(input_shape, dtype=floats[0] if floats else torch.float32)
    try:
        with torch.no_grad():
            exported = torch.export.export(module, (example,))
    except Exception as error:  # torch.export raises whatever the module raises
        reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise CompileError(f"torch.export refused the model: {reason[0]}") from error
    return graph_of(exported)


def graph_of(exported: torch.export.ExportedProgram) -> Graph:
    """The operators of what torch.export made; raises CompileError or UnsupportedOp."""
    signature: Any = exported.graph_signature
    if len(signature.user_inputs) != 1:
        raise CompileError(f"expected one input, got {len(signature.user_inputs)}")
    stored = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    tensors = {**exported.state_dict, **exported.constants}
    output = next(n for n in exported.graph.nodes if n.op == "output")
    if len(signature.user_outputs) != 1 or len(output.args[0]) != 1:
        raise CompileError(f"expected one output, got {len(output.args[0])}")
    calls = [n for n in exported.graph.nodes if n.op not in ("placeholder", "output")]
    previous = next(n for n in exported.graph.nodes if n.name == signature.user_inputs[0])
    input_shape = tuple(previous.meta["val"].shape)
    if not all(isinstance(n, int) for n in input_shape):
        raise CompileError(f"expected an input of fixed shape, got {input_shape}")
    nodes = []
    for call in calls:
        args = _positional(call)
        if call.op != "call_function" or not any(a is previous for a in args):
            raise UnsupportedOp(
                call.name, str(call.target), "it is not on one chain from the input to the output"
            )
        made = call.meta["val"]
        if not hasattr(made, "shape") or not all(isinstance(n, int) for n in made.shape):
            raise UnsupportedOp(call.name, str(call.target), "expected one tensor of fixed shape")
        plain = tuple(_argument(a, previous, stored, tensors, call) for a in args)
        nodes.append(Node(call.name, str(call.target), plain, tuple(made.shape)))
        previous = call
    if output.args[0][0] is not previous:
        name = nodes[-1].name if nodes else "(none)"
        raise CompileError(f"expected the output of the last node {name!r}, got another")
    return Graph(input_shape, tuple(nodes))


def _positional(call: Any) -> list[Any]:
    """All arguments in the order of the operator's schema, defaults included."""
    schema = getattr(call.target, "_schema", None)
    if schema is None:
        return list(call.args)
    rest = [call.kwargs.get(a.name, a.default_value) for a in schema.arguments[len(call.args) :]]
    return [*call.args, *rest]


def _argument(value: Any, previous: Any, stored: dict[str, str], tensors: Any, call: Any) -> Any:
    if value is previous:
        return PREVIOUS
    if not hasattr(value, "op"):
        return value
    if value.name not in stored:
        raise UnsupportedOp(
            call.name,
            str(call.target),
            f"it reads {value.name!r}, which is neither the previous value nor a parameter",
        )
    return _floats(tensors[stored[value.name]])


def _floats(tensor: torch.Tensor) -> FloatArray:
    array = tensor.detach().cpu().double().numpy()
    return np.ascontiguousarray(array, dtype=np.float64)
