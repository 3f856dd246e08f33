"""torch.export, without decompositions, to the list of operators between the input and the output.

Only here is torch imported. What does not depend on the input is computed here, and is a constant;
what the output does not depend on is dropped.
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from prover.compiler.errors import CompileError, UnsupportedOp

if TYPE_CHECKING:
    import torch

    from prover.compiler.public import Shown


class _Previous:
    """The place of the previous node's value among a node's arguments."""

    def __repr__(self) -> str:
        return "PREVIOUS"


PREVIOUS: Final = _Previous()


@dataclass(frozen=True)
class Ref:
    """The place of an earlier node's value, or of the input's: `INPUT`."""

    name: str


INPUT: Final = "input"  # the name of the input among values
LITERAL: Final = "lifted_tensor_"  # torch.export's name for a tensor that no module holds


@dataclass(frozen=True)
class Node:
    """One operator: torch's name for it, its arguments (parameters as float64), the shape that it
    makes; () where it makes several tensors, which `getitem` nodes then take apart. `learned`:
    numbers among its constants are made of parameters, and so no part of the program.
    """

    name: str
    target: str
    args: tuple[Any, ...]
    shape: tuple[int, ...]
    learned: bool = False


@dataclass(frozen=True)
class Graph:
    """What a model computes from one input of this shape; of a step (compiler/step.py), from
    further inputs too, and `state` is the node of what the next step is given."""

    input_shape: tuple[int, ...]
    nodes: tuple[Node, ...]
    whole: bool = False  # the input is integers: token ids
    further: tuple[tuple[str, tuple[int, ...]], ...] = ()  # names and shapes
    state: str = ""
    evened: bool = False  # channels between layers are evened (equalize.py)
    shown: tuple[Shown, ...] = ()  # parameters that the program shows (public.py)


def trace(module: torch.nn.Module, input_shape: tuple[int, ...], whole: bool = False) -> Graph:
    """The operators of `module` in evaluation mode on one input of floats, or of `whole` numbers;
    raises CompileError or UnsupportedOp.
    """
    import torch

    floats = [p.dtype for p in module.parameters() if p.dtype.is_floating_point]
    dtype = torch.int64 if whole else floats[0] if floats else torch.float32
    example = torch.zeros(input_shape, dtype=dtype)
    modes = [(part, part.training) for part in module.modules()]
    # Not a copy: hooks such as weight_norm's hold what cannot be copied.
    with contextlib.suppress(NotImplementedError):  # torch.export's own are as they were exported
        module.eval()
    try:
        with torch.no_grad():
            exported = torch.export.export(module, (example,))
    except Exception as error:  # torch.export raises whatever the module raises
        reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise CompileError(f"torch.export refused the model: {reason[0]}") from error
    finally:
        for part, training in modes:
            part.training = training
    return graph_of(exported)


def graph_of(exported: torch.export.ExportedProgram, step: bool = False) -> Graph:
    """The operators of what torch.export made: of one input and output, or of a step, which takes
    further inputs and gives the next one's state too; raises CompileError or UnsupportedOp."""
    from prover.compiler.public import seen
    from prover.compiler.rewrite import rewritten

    signature: Any = exported.graph_signature
    if len(signature.user_inputs) != 1 and not step:
        raise CompileError(f"expected one input, got {len(signature.user_inputs)}")
    output = next(n for n in exported.graph.nodes if n.op == "output")
    outputs = 2 if step else 1
    if len(signature.user_outputs) != outputs or len(output.args[0]) != outputs:
        raise CompileError(f"expected {outputs} output, got {len(output.args[0])}")
    by_name = {n.name: n for n in exported.graph.nodes}
    given, *further = (by_name[name] for name in signature.user_inputs)
    input_shape = tuple(given.meta["val"].shape)
    if not all(isinstance(n, int) for n in input_shape):
        raise CompileError(f"expected an input of fixed shape, got {input_shape}")
    constants, origins = _stored(exported)
    calls = []
    for call in exported.graph.nodes:
        if call.op in ("placeholder", "output"):
            continue
        if call.op != "call_function":
            raise UnsupportedOp(call.name, str(call.target), "expected a function of tensors")
        _refuse_aliases(call)
        _name_type(call)
        if call.target in _shaped():
            constants[call.name] = _of_shape(call)
        elif all(source.name in constants for source in call.all_input_nodes):
            constants[call.name] = _computed(call, constants)
            origins[call.name] = _read(call.all_input_nodes, origins)
        else:
            calls.append(call)
    result, state = output.args[0][0], output.args[0][1] if step else None
    lengths = getattr(result.meta["val"], "shape", ()) if hasattr(result, "meta") else (0,)
    if any(isinstance(n, int) and n == 0 for n in lengths):
        raise CompileError(f"expected one tensor with cells as the output, got {result}")
    calls = [*(c for c in calls if c is not result), *(c for c in calls if c is result)]
    needed = {result.name} if state is None else {result.name, state.name}
    for call in reversed(calls):
        if call.name in needed:
            needed |= {source.name for source in call.all_input_nodes}
    if result.name in constants or given.name not in needed:
        raise CompileError("expected an output that depends on the input, got a constant")
    nodes: list[Node] = []
    shown: set[Shown] = set()
    for call in (c for c in calls if c.name in needed):
        previous = nodes[-1].name if nodes else given.name

        def place(source: Any, previous: str = previous) -> Any:
            if source.name in constants:
                return _array(constants[source.name])
            if source.name == previous:
                return PREVIOUS
            return Ref(INPUT if source.name == given.name else source.name)

        target, every = _target(call), _positional(call)
        args = tuple(_argument(a, place) for a in every)
        found, learned = seen(target, args, [_read(a, origins) for a in every])
        shown |= found
        nodes.append(Node(call.name, target, args, _shape(call), learned))
    if not nodes:
        raise CompileError("expected an operator between the input and the output, got none")
    whole = not given.meta["val"].dtype.is_floating_point
    shapes = tuple((n.name, tuple(n.meta["val"].shape)) for n in further)
    kept = state.name if state is not None else ""
    public = tuple(sorted(shown))
    return rewritten(Graph(input_shape, tuple(nodes), whole, shapes, kept, shown=public))


def _stored(
    exported: torch.export.ExportedProgram,
) -> tuple[dict[str, Any], dict[str, frozenset[str]]]:
    """Parameters, buffers and constants by the names of their placeholders; and torch's names of
    those that are a module's state, not its code: tensors that it holds unregistered are state,
    too, as hooks such as weight_norm's leave weights."""
    signature: Any = exported.graph_signature
    stored = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    tensors: dict[str, Any] = {**exported.state_dict, **exported.constants}
    state = {
        name: frozenset([own])
        for name, own in stored.items()
        if own not in signature.non_persistent_buffers and not own.startswith(LITERAL)
    }
    return {name: tensors[stored[name]].detach() for name in stored}, state


def _read(arg: Any, origins: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The parameters that constants among an argument are made of."""
    if isinstance(arg, (list, tuple)):
        return frozenset[str]().union(*(_read(part, origins) for part in arg))
    return origins.get(arg.name, frozenset()) if hasattr(arg, "op") else frozenset()


def _refuse_aliases(call: Any) -> None:
    """An operator that changes its argument in place must be the only one that reads it."""
    schema = getattr(call.target, "_schema", None)
    if schema is None or not schema.is_mutable:
        return
    source = call.args[0]
    while True:
        if len(source.users) != 1 or source.op == "placeholder":
            what = f"it changes {source.name!r} in place, which others read"
            raise UnsupportedOp(call.name, str(call.target), what)
        if source.target is operator.getitem:  # of what was split: no part is another's alias
            source = source.args[0]
        made = getattr(source.target, "_schema", None)
        views = made is not None and any(a.alias_info is not None for a in made.arguments)
        if not views or not source.args:
            return
        source = source.args[0]


def _name_type(call: Any) -> None:
    """x.type_as(y) is a cast of x alone: none of y's cells is read."""
    import torch

    if call.target == torch.ops.aten.type_as.default:
        call.target = torch.ops.aten.to.dtype
        call.args = (call.args[0], call.meta["val"].dtype)


def _computed(call: Any, constants: dict[str, Any]) -> Any:
    """What an operator makes of constants."""
    import torch
    from torch.fx import map_arg

    tagged = torch.Tag.nondeterministic_seeded in getattr(call.target, "tags", ())
    attends = call.target == torch.ops.aten.scaled_dot_product_attention.default
    still = _positional(call)[4] == 0 if attends else call.args[2:3] == (False,)  # no dropout
    if tagged and not (still and (attends or "dropout" in str(call.target))):
        raise UnsupportedOp(call.name, str(call.target), "it is random")
    try:
        with torch.no_grad():
            args = map_arg(call.args, lambda n: constants[n.name])
            return call.target(*args, **map_arg(call.kwargs, lambda n: constants[n.name]))
    except Exception as error:  # whatever torch raises
        raise UnsupportedOp(call.name, str(call.target), f"of constants: {error}") from error


def _shaped() -> set[Any]:
    """Operators that read a tensor's shape alone."""
    import torch

    names = ("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full")
    return {getattr(torch.ops.aten, name).default for name in names}


def _of_shape(call: Any) -> Any:
    """What such an operator makes, of numbers of the code."""
    import torch

    others = [source.name for source in call.all_input_nodes if source is not call.args[0]]
    if others:
        what = f"expected numbers of the code beside a shape, got what {others[0]!r} makes"
        raise UnsupportedOp(call.name, str(call.target), what)
    like = call.args[0].meta["val"]
    with torch.no_grad():
        return call.target(torch.empty(like.shape, dtype=like.dtype), *call.args[1:], **call.kwargs)


#: In-place forms whose namesake is another operator: aten.pow.Scalar is base ^ x.
PLACED = {"aten.pow_.Scalar": "aten.pow.Tensor_Scalar"}


def _target(call: Any) -> str:
    """torch's name; of what changes its argument in place, which nothing else reads, that of the
    operator which makes a new tensor."""
    if call.target is operator.getitem:
        return "getitem"
    name = str(call.target)
    if name in PLACED:
        return PLACED[name]
    space, kind, form = name.split(".") if name.count(".") == 2 else ("", "", "")
    if kind.endswith("_") and not kind.startswith("_") and space == "aten":
        return f"{space}.{kind[:-1]}.{form}"
    return name


def _shape(call: Any) -> tuple[int, ...]:
    made = call.meta["val"]
    several = isinstance(made, (list, tuple))
    for one in made if several else [made]:
        if not hasattr(one, "shape") or not all(isinstance(n, int) for n in one.shape):
            raise UnsupportedOp(call.name, str(call.target), "expected tensors of fixed shape")
    return () if several else tuple(made.shape)


def _positional(call: Any) -> list[Any]:
    """All arguments in the order of the operator's schema, defaults included."""
    schema = getattr(call.target, "_schema", None)
    if schema is None:
        return list(call.args)
    rest = [call.kwargs.get(a.name, a.default_value) for a in schema.arguments[len(call.args) :]]
    return [*call.args, *rest]


def _argument(value: Any, place: Callable[[Any], Any]) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(_argument(v, place) for v in value)
    return place(value) if hasattr(value, "op") else value


def _array(tensor: Any) -> npt.NDArray[Any]:
    """A copy in float64; masks and indices stay what they are. Of a number, which `item` made of a
    tensor, one cell."""
    if not hasattr(tensor, "detach"):
        return np.asarray(tensor)
    array = tensor.detach().cpu()
    kept = array.numpy() if array.dtype.is_floating_point is False else array.double().numpy()
    return np.array(kept, order="C")
