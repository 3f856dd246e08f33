"""A torch module to a program: trace, bound, quantise, lower. Everything but the trace is numpy.

The result is a pure function of the weights, the input's shape and its declared range, and, for
what is more than a chain of layers, of ranges recorded on example inputs.
"""

from prover.compiler.build import Compiled, compile_graph, compile_module
from prover.compiler.errors import CompileError, UnsupportedOp

__all__ = ["Compiled", "CompileError", "UnsupportedOp", "compile_graph", "compile_module"]
