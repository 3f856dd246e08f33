"""A council that agrees under one aggregated signature: members have BLS keys, made by py_ecc."""

from __future__ import annotations

import hashlib
from typing import Any

from eth_abi.abi import encode
from eth_hash.auto import keccak
from py_ecc.bls.hash_to_curve import hash_to_G1
from py_ecc.optimized_bls12_381 import G2, multiply

from tests.contracts.bls import POSSESSION, encoded
from tests.contracts.bls import QUORUM as TAG
from tests.contracts.council import QUORUM, TRACE, Council
from tests.contracts.desk import LOGITS, Request

AGGREGATE_TYPE = "(bytes,bytes32,uint256,uint256,bytes,bytes)"


class Senate(Council):
    """The committee tier over BlsKeys."""

    source = "contracts/committee/BlsCommitteeAssurance.sol"

    def prepare(self) -> list[str]:
        self.keys = self.chain.deploy("contracts/committee/BlsKeys.sol")
        return [self.keys.address]

    def admit(self, owner: str) -> None:
        key = self.key(owner)
        word = bytes(self.chain.call(self.keys.functions.possessionOf(owner, key)))
        hashed = hash_to_G1(word, POSSESSION, hashlib.sha256)
        proof = encoded(multiply(hashed, self.secret(owner)))
        self.chain.send(self.keys.functions.register(key, proof), sender=owner)

    # --- members --------------------------------------------------------------------------------

    @staticmethod
    def secret(owner: str) -> int:
        return int(owner, 16) + 7

    def key(self, owner: str) -> bytes:
        return encoded(multiply(G2, self.secret(owner)))

    def owners_of(self, members: bytes) -> list[str]:
        return [self.member(members, place) for place in range(len(members) // 24)]

    def total(self, members: bytes) -> bytes:
        return encoded(multiply(G2, sum(map(self.secret, self.owners_of(members)))))

    def message(self, request: Request, output: bytes = LOGITS, **claim: Any) -> bytes:
        """What the contract has members sign."""
        id = claim.get("id") or self.request_id(request)
        payee, root = claim.get("payee") or self.payee, claim.get("root", TRACE)
        epoch = claim.get("epoch", self.epoch)
        words = self.council.functions.messageOf(id, epoch, payee, keccak(output), root)
        return bytes(self.chain.call(words))

    def signature(
        self, members: bytes, places: Any, message: bytes, tag: bytes = TAG, key: int = 0
    ) -> bytes:
        """All signatures of one message, added up: that of the sum of the secrets."""
        secrets = [self.secret(self.member(members, place)) for place in places]
        return encoded(multiply(hash_to_G1(message, tag, hashlib.sha256), sum(secrets) + key))

    def quorum(
        self,
        request: Request,
        members: bytes,
        places: Any = range(QUORUM),
        output: bytes = LOGITS,
        **claim: Any,
    ) -> Any:
        spoken = claim.pop("spoken", ())
        absent = [place for place in range(len(members) // 24) if place not in places]
        return (
            members,
            claim.get("root", TRACE),
            sum(1 << place for place in absent),
            sum(1 << place for place in spoken),
            self.total(members),
            self.signature(members, places, self.message(request, output, **claim)),
        )

    @staticmethod
    def encoded(quorum: Any) -> bytes:
        return encode([AGGREGATE_TYPE], [quorum])
