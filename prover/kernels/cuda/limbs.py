"""The field back-end: elements in registers, their operations, and the constants of both fields."""

import importlib

from prover.field import P, Q
from prover.kernels.cuda.kernel import SIMULATED

backend = importlib.import_module(f"{__package__}.{'simulated' if SIMULATED else 'inline'}")

add_fr, sub_fr, mul_fr = backend.add_fr, backend.sub_fr, backend.mul_fr
add_fq, sub_fq, mul_fq = backend.add_fq, backend.sub_fq, backend.mul_fq
load, store, widen = backend.load, backend.store, backend.widen
equal, less = backend.equal, backend.less
add_word_product = backend.add_word_product
low_part, high_part = backend.low_part, backend.high_part

zero_wide = backend.wide_constant(0)
zero = backend.constant(0)
one = backend.constant(1)  # the integer: mul by it leaves Montgomery form
one_fr, one_fq = backend.constant(2**256 % P), backend.constant(2**256 % Q)
# mul by a square enters Montgomery form
square_fr, square_fq = backend.constant(2**512 % P), backend.constant(2**512 % Q)
half_fr = backend.constant(P // 2 + 1)
order_fq = backend.constant(Q)
top_bit_fr = backend.constant(2**63 * 2**256 % P)
b_fq = backend.constant(3 * 2**256 % Q)
