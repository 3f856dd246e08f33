"""Single steps of recurrent networks by their parts, gates in torch's order.

    i, f, g, o = W x + b + U h + c              c' = sig(f) c + sig(i) tanh(g)
    h' = sig(o) tanh(c')                        (lstm_cell)
    r, z = sig(W x + b + U h + c)               n = tanh(W_n x + b_n + r (U_n h + c_n))
    h' = n + z (h - n)                          (gru_cell)
    h' = tanh(W x + b + U h + c), or max(0, ..) (rnn_tanh_cell, rnn_relu_cell)

A state may be a constant, such as the zeros that a sequence starts from.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from prover.compiler.trace import Node, Ref

LSTM, GRU = "aten.lstm_cell.default", "aten.gru_cell.default"
PLAIN = {"aten.rnn_tanh_cell.default": "tanh", "aten.rnn_relu_cell.default": "relu"}
STATES = ("h", "c")  # of an LSTM, in the order that it gives them


class Step:
    """The nodes of one step, named after the cell that it is."""

    def __init__(self, node: Node, state: tuple[int, int]) -> None:
        self.name, self.state, self.nodes = node.name, state, list[Node]()
        self.learned = node.learned

    def _node(self, what: str, target: str, args: tuple[Any, ...], gates: int = 1) -> Ref:
        """Of as many gates beside each other."""
        name = f"{self.name}_{what}" if what else self.name
        shape = (self.state[0], gates * self.state[1])
        self.nodes.append(Node(name, f"aten.{target}", args, shape, self.learned))
        return Ref(name)

    def affine(self, what: str, x: Any, weight: Any, bias: Any, gates: int = 1) -> Any:
        """weight x + bias; a number for each cell where x is constant."""
        if isinstance(x, Ref):
            return self._node(what, "linear.default", (x, weight, bias), gates)
        return x @ weight.T + (0.0 if bias is None else bias)

    def sum(self, what: str, x: Any, y: Any, gates: int = 1) -> Any:
        """x + y, not both constant."""
        if _none(x) or _none(y):
            return x if _none(y) else y
        return self._node(what, "add.Tensor", (x, y, 1), gates)

    def apart(self, what: str, x: Any, y: Ref) -> Ref:
        """x - y."""
        if _none(x):
            return self._node(what, "neg.default", (y,))
        return self._node(what, "sub.Tensor", (x, y, 1))

    def product(self, what: str, x: Ref, y: Any) -> Any:
        return y if _none(y) else self._node(what, "mul.Tensor", (x, y))

    def function(self, what: str, name: str, x: Ref, gates: int = 1) -> Ref:
        return self._node(what, f"{name}.default", (x,), gates)

    def part(self, what: str, of: Any, first: int, gates: int = 1) -> Any:
        """Some of the gates that stand beside each other."""
        start, end = first * self.state[1], (first + gates) * self.state[1]
        if not isinstance(of, Ref):
            return of[:, start:end]
        return self._node(what, "slice.Tensor", (of, 1, start, end, 1), gates)


def _none(x: Any) -> bool:
    """Nothing but zeros."""
    return not isinstance(x, Ref) and not np.any(x)


def lstm(node: Node, state: tuple[int, int]) -> list[Node]:
    """What it gives is named after it, by STATES."""
    x, (h, c), w, u, b, bias = node.args
    s = Step(node, state)
    kept, given = s.affine("kept", h, u, bias, 4), s.affine("given", x, w, b, 4)
    gates = s.sum("gates", given, kept, 4)
    shares = s.function("shares", "sigmoid", gates, 4)  # one table for all; one is not read
    i, f, o = (s.part(what, shares, n) for what, n in (("i", 0), ("f", 1), ("o", 3)))
    g = s.function("g", "tanh", s.part("candidate", gates, 2))
    if _none(c):
        made = s.product("c", i, g)
    else:
        made = s.sum("c", s.product("new", i, g), s.product("past", f, c))
    s.product("h", o, s.function("tanh", "tanh", made))
    return s.nodes


def gru(node: Node, state: tuple[int, int]) -> list[Node]:
    x, h, w, u, b, bias = node.args
    s = Step(node, state)
    kept, given = s.affine("kept", h, u, bias, 3), s.affine("given", x, w, b, 3)
    sums = s.sum("sums", s.part("given_rz", given, 0, 2), s.part("kept_rz", kept, 0, 2), 2)
    shares = s.function("shares", "sigmoid", sums, 2)
    r, z = s.part("r", shares, 0), s.part("z", shares, 1)
    reset = s.product("reset", r, s.part("kept_n", kept, 2))
    new = s.function("new", "tanh", s.sum("n", s.part("given_n", given, 2), reset))
    s.sum("", new, s.product("mixed", z, s.apart("apart", h, new)))
    return s.nodes


def plain(node: Node, state: tuple[int, int]) -> list[Node]:
    x, h, w, u, b, bias = node.args
    s = Step(node, state)
    sums = s.sum("sums", s.affine("given", x, w, b), s.affine("kept", h, u, bias))
    s.function("", PLAIN[node.target], sums)
    return s.nodes
