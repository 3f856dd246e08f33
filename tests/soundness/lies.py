"""False claims, one for each relation: it is violated and no other is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cache

import numpy as np

from prover.field import P, inverse
from prover.program.evaluate import ValueRefused
from prover.program.ir import Role
from tests.soundness.malice import Claim, propagated
from tests.soundness.meaning import Relation
from tests.soundness.small import every_kind, target

RELATIONS = target().layout.relations
EINSUMS, LOOKUPS = len(RELATIONS.einsums), len(RELATIONS.lookups)
MADE = [t for t in RELATIONS.tensors if t.role in (Role.ACTIVATION, Role.OUTPUT_COMMITTED)]


def candidates() -> Iterator[Claim]:
    """One cell wrong, its limbs refitted or not, what follows from it right or not."""
    true, case = target(), every_kind()
    yield Claim(true, propagated(case, "h", (0,), 3)).change("h.n", (0,), 3).refit()
    for name, shift in (("q", 3), ("h", 4), ("index", 4), ("c", 6), ("y", 2)):  # shifted quotients
        for steps in (1, -1):
            shifted = Claim(true, propagated(case, name, (0,), steps))
            yield shifted.change(f"{name}.r", (0,), -steps << shift)
    for chosen, greatest in (([-1, 2], 75), ([1, 1], 45)):  # no one-hot; with x = [5, 40]
        yield (
            Claim(true, propagated(case, "m", (0,), greatest - 40)).put("m.s", (0,), chosen).refit()
        )
        found = Claim(true, propagated(case, "a", (0,), sum(1 - np.cumsum(chosen)) - 1))
        found.put("a.s", (0,), chosen).put("a.c", (0,), np.cumsum(chosen)).put(
            "a.m", (0,), greatest
        )
        yield found.refit()
    late = Claim(true, propagated(case, "a", (0,), -1))  # counted before it was chosen
    yield late.put("a.c", (0,), [1, 1]).refit()
    root = Claim.honest(true).change("v.t", (0,), 1)
    yield root.change("v.a", (0,), -int(root.values["v"][0])).refit()
    for tensor in MADE:
        for at in np.ndindex(*tensor.shape):
            for delta in (1, -1):
                with suppress(ValueRefused):
                    yield Claim(true, propagated(case, tensor.name, at, delta)).refit()
                yield Claim.honest(true).change(tensor.name, at, delta)
                yield Claim.honest(true).change(tensor.name, at, delta).refit()
                for part in (2, 4, 16, 256):
                    yield Claim.honest(true).change(tensor.name, at, delta * inverse(part) % P)


@cache
def breaking_one() -> dict[Relation, Claim]:
    """For every relation a claim that violates it and no other."""
    found: dict[Relation, Claim] = {}
    for claim in candidates():
        broken = claim.broken()
        if len(broken) == 1:
            found.setdefault(*broken, claim)
            if len(found) == EINSUMS + LOOKUPS:
                break
    return found
