"""What is a graph, held between passes: a broken one is refused by the pass that made it, and
docs/protocol/graph.md lists the operators that are left."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from prover.compiler import UnsupportedOp, compile_graph, lower, rewrite
from prover.compiler.blocks import explicit
from prover.compiler.check import InvalidGraph, checked
from prover.compiler.equalize import equalized
from prover.compiler.fold import fold_norms
from prover.compiler.lower import LOWERINGS, OPS
from prover.compiler.lower.batch_norm import fold_batch_norms
from prover.compiler.nodes import Nodes
from prover.compiler.rewrite import rewritten
from prover.compiler.trace import INPUT, PREVIOUS, Graph, Node, Ref, trace

DOC = Path(__file__).parents[2] / "docs/protocol/graph.md"
SHAPE = (2, 3)


def linear(name: str, x: Any, weight: float = 0.5) -> Node:
    return Node(name, "aten.linear.default", (x, np.full((3, 3), weight), None), SHAPE)


def gelu(name: str, x: Any) -> Node:
    return Node(name, "aten.gelu.default", (x, "none"), SHAPE)


def graph(*nodes: Node) -> Graph:
    return Graph(SHAPE, nodes)


GOOD = graph(linear("a", Ref(INPUT)), gelu("b", Ref("a")), linear("c", PREVIOUS))
BROKEN: dict[str, tuple[Graph, str]] = {
    "a later node": (
        graph(linear("a", Ref("b")), linear("b", PREVIOUS)), "'a': .*before it, got 'b'",
    ),
    "itself": (graph(linear("a", Ref("a"))), "'a': .*before it, got 'a'"),
    "nobody": (graph(linear("a", Ref(INPUT)), gelu("b", Ref("z"))), "'b': .*got 'z'"),
    "nobody, in a list": (
        graph(linear("a", Ref(INPUT)),
              Node("b", "aten.cat.default", ((Ref("a"), Ref("z")), 0), (4, 3))),
        "'b': .*got 'z'",
    ),
    "a name twice": (graph(linear("a", Ref(INPUT)), gelu("a", PREVIOUS)), "'a': .*got two"),
    "an input's name": (graph(linear(INPUT, Ref(INPUT))), "'input': .*got two"),
    "another input's name": (
        replace(graph(linear("a", Ref(INPUT))), further=(("a", SHAPE),)), "'a': .*got two",
    ),
    "no such state": (replace(GOOD, state="z"), "'z': expected the node of the next state"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_graph_is_refused_by_its_node(name: str) -> None:
    broken, reason = BROKEN[name]
    for take in (rewritten, lambda made: compile_graph(made, (-1, 1))):
        with pytest.raises(InvalidGraph, match=f"graph of the front end: node {reason}"):
            take(broken)


def test_a_graph_by_hand_is_compiled() -> None:
    """Also one that names an input of a step, and where it may be told by place or by name."""
    made = compile_graph(rewritten(GOOD), (-1, 1))
    named = graph(linear("a", PREVIOUS), gelu("b", PREVIOUS), linear("c", Ref("b")))
    assert compile_graph(rewritten(named), (-1, 1)).program == made.program
    further = replace(graph(linear("a", Ref("places"))), further=(("places", SHAPE),))
    assert rewritten(further) == further


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_constants_that_are_no_numbers_are_refused_by_their_node(bad: float) -> None:
    with pytest.raises(UnsupportedOp, match=r"aten.linear.default at node 'b': expected finite"):
        rewritten(graph(linear("a", Ref(INPUT)), linear("b", PREVIOUS, bad)))
    inside = Node("cat", "aten.cat.default", ((Ref(INPUT), np.array([[0.0, bad, 0.0]])), 0), (3, 3))
    with pytest.raises(UnsupportedOp, match=r"aten.cat.default at node 'cat': expected finite"):
        rewritten(graph(inside))


def test_masks_and_great_numbers_are_constants() -> None:
    """-inf, and numbers whose sum is infinite."""
    mask = np.where(np.eye(3) > 0, 0.0, -np.inf)[:2]
    great = np.full(SHAPE, 1e308)
    for constant in (mask, great, mask > 0, np.arange(3)):
        node = Node("a", "aten.add.Tensor", (Ref(INPUT), constant, 1), SHAPE)
        assert rewritten(graph(node)).nodes


def test_what_no_pass_knows_is_refused() -> None:
    unknown = Node("f", "aten.frobnicate.default", (Ref("a"),), SHAPE)
    for run in (rewritten, equalized, fold_norms, fold_batch_norms, explicit):
        with pytest.raises(UnsupportedOp, match=r"aten.frobnicate.default at node 'f': it is not"):
            run(graph(linear("a", Ref(INPUT)), unknown, linear("b", Ref("f"))))
        assert run(GOOD).nodes


def _renamed(made: Graph) -> Graph:
    return replace(made, nodes=(*made.nodes, replace(made.nodes[0], name="c")))


def _turned(made: Graph) -> Graph:
    return replace(made, nodes=made.nodes[::-1])


def _spoilt(made: Graph) -> Graph:
    return replace(made, nodes=(*made.nodes[:-1], linear("c", PREVIOUS, np.nan)))


PASSES: dict[str, tuple[Callable[[Graph], Graph], str]] = {
    "a name twice": (_renamed, "graph of _renamed: node 'c': .*got two"),
    "another order": (_turned, "graph of _turned: node 'b': .*got 'a'"),
    "a constant": (_spoilt, "aten.linear.default at node 'c': expected finite"),
}


@pytest.mark.parametrize("name", PASSES)
def test_a_pass_that_breaks_a_graph_is_named(name: str) -> None:
    run, reason = PASSES[name]
    with pytest.raises((InvalidGraph, UnsupportedOp), match=reason):
        checked(run)(GOOD)


def test_a_rule_that_breaks_a_graph_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the rules of one pass, too: the next one reads what it made."""

    def reads_what_comes(node: Node, nodes: Nodes, count: Any) -> Node | None:
        return replace(node, args=(Ref("c"), "none")) if node.name == "b" else None

    monkeypatch.setattr(rewrite, "RULES", (reads_what_comes, *rewrite.RULES))
    with pytest.raises(InvalidGraph, match=r"graph of reads_what_comes: node 'b': .*got 'c'"):
        rewritten(GOOD)


def test_what_torch_gives_is_checked_by_the_same() -> None:
    module = nn.Sequential(nn.Linear(3, 3), nn.GELU())
    with torch.no_grad():
        module[0].weight[0, 0] = float("nan")
    with pytest.raises(UnsupportedOp, match=r"aten.linear.default at node 'linear': expected fin"):
        trace(module, SHAPE)


def _placed(target: str) -> bool:
    """Whether it changes a tensor in place."""
    kind = target.removeprefix("aten.").split(".")[0]
    return kind.endswith("_") and not kind.startswith("_")


def test_the_page_lists_the_operators_that_are_left() -> None:
    """By the file that lowers each, and no other."""
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", DOC.read_text(), re.MULTILINE)
    listed = {file: re.findall(r"`([\w.]+)`", names) for file, names in rows}
    found: dict[str, set[str]] = {}
    for file in (made for made in vars(lower).values() if isinstance(made, ModuleType)):
        if hasattr(file, "TARGETS") and hasattr(file, "reference"):
            targets = {*file.TARGETS, *getattr(file, "MASKED", ())}
            own = {t.removeprefix("aten.") for t in targets if not _placed(t)}
            found[file.__name__.rsplit(".", 1)[-1]] = own
    assert {file: set(names) for file, names in listed.items()} == found
    every = {target.removeprefix("aten.") for target in (*OPS, *LOWERINGS) if not _placed(target)}
    assert set[str]().union(*found.values()) == every
