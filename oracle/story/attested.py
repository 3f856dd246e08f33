"""The story of the attested tier: keys in a SOFTWARE TPM are enrolled on what was measured, an
operator answers with its key's signature and earns; another, whose key is as good and whose engine
is corrupted on purpose, is caught by a challenger and slashed; then what is stolen, forged, revoked
or expired is refused.

The chain's clock is moved by evm_increaseTime: over the delay, all windows, and a key's life.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import astuple
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256

from oracle.adapters.answer_key import REGISTERS
from oracle.adapters.deployment import ATTESTATIONS, ATTESTED
from oracle.adapters.software_tpm import LABEL as SOFTWARE
from oracle.adapters.software_tpm import software_tpm
from oracle.adapters.tpm import Tpm
from oracle.attestation.enrolment import Applicant, from_tpm, voucher_of
from oracle.domain.attested import (
    Answering,
    build_statement,
    said,
    voucher_statement,
)
from oracle.domain.request import Request, TierKind
from oracle.examples import digits
from oracle.story.desk import FEE, Desk, StoryFailed
from oracle.story.process import service
from oracle.story.staked import (
    CHALLENGER,
    CHEATER,
    COVERAGE,
    ETHER,
    GWEI,
    OPERATOR,
    REQUESTER,
    Ladder,
    StakedOutcome,
    StakedStory,
    label,
)
from prover.api import Session

HOUR, DAY = 3600, 86_400
DELAY, LIFE = 48 * HOUR, 7 * DAY
ANSWERS, SPARE, CORRUPTED = "answers", "spare", "corrupted"
BUILD_REGISTER = 9
THIEF = "dev:5"
PEOPLE = {
    "operator": OPERATOR,
    "cheating operator": CHEATER,
    "challenger": CHALLENGER,
    "thief": THIEF,
    "requester": REQUESTER,
}


class Hall(Ladder):
    """The attested tier by hand. The account that deployed it is its attester."""

    people = PEOPLE
    tier, kind = ATTESTED, TierKind.ATTESTED
    seconds = 12 * DAY

    def enrol(self, tpm: Tpm, model_id: bytes, name: str, key: str = OPERATOR) -> None:
        """The attester admits TPM and build; an operator enrols the TPM's key of that name."""
        registry, owner = self._desk.address(ATTESTATIONS), self.address(key)
        sealed, where = tpm.sealed(name.encode(), REGISTERS), (self._desk.chain_id, registry)
        voucher = voucher_of(tpm, self._desk.ape.chain.pending_timestamp + 300 * DAY)
        applicant = Applicant(*where, owner, model_id, tpm.answer_point(sealed))
        enrolment, evidence = from_tpm(tpm, applicant, sealed, voucher)
        build = (enrolment.kind, model_id, enrolment.measurement)
        for statement in (voucher_statement(*where, voucher), build_statement(*where, *build)):
            self.registry.approve(statement, tpm.maker.encode(), sender=self._desk.account)
        self.registry.enrol(astuple(enrolment), evidence.encoded, sender=self.account(key))

    def revoke(self, tpm: Tpm, model_id: bytes, name: str) -> None:
        point = tpm.answer_point(tpm.sealed(name.encode(), REGISTERS))
        named = (self.address(OPERATOR), model_id, point[:32], point[32:])
        self.registry.revoke(*named, sender=self._desk.account)

    def said(self, request: Request, output: bytes, owner: str = OPERATOR) -> bytes:
        """What a key signs of an answer."""
        named = (request.assurance, request.id, request.model_id, request.input_hash)
        return said(self._desk.chain_id, Answering(*named, self.address(owner), output))

    def refund(self, request: Request) -> None:
        self.pass_time(self.seconds)
        oracle = self._desk.contract("InferenceOracle")
        oracle.refund(request.fields, sender=self.account(REQUESTER))

    @property
    def registry(self) -> Any:
        return self._desk.contract(ATTESTATIONS)


class AttestedStory(StakedStory):
    """`tell` runs it, as Story does."""

    def _begin(self) -> StakedOutcome:
        return StakedOutcome(tier="attested")

    def _on_chain(self, desk: Desk, session: Session) -> None:
        desk.command("register", self.folder / "models/digits")
        hall, model_id = Hall(desk), session.model.id
        _, held_out = digits.load()
        image = session.model.encode_input(held_out.images[:1])
        self.outcome.truth = int(held_out.labels[0])
        with ExitStack() as stack:
            with self.step("measure, quote, enrol three keys") as found:
                tpm = stack.enter_context(software_tpm(self.folder / "tpm"))
                tpm.extend(BUILD_REGISTER, sha256(model_id).digest())
                for name in (ANSWERS, SPARE):
                    hall.enrol(tpm, model_id, name)
                hall.enrol(tpm, model_id, CORRUPTED, CHEATER)
                found.append(SOFTWARE)
            with self.step("stake, and wait the delay out") as found:
                for key in (OPERATOR, CHEATER):
                    hall.stake(key)
                hall.pass_time(DELAY)
                found.append("48 h in which an attester could have revoked the keys")
            before = hall.sheet()
            self._answered(desk, hall, session, image, tpm)
            signing = f"tpm:{tpm.where}#{CORRUPTED}"
            self._cheated(desk, hall, session, image, EINPROOF_ANSWER_KEY=signing)
            self._refused(desk, hall, model_id, image, tpm)
        after = hall.sheet()
        self.outcome.sheet = {
            name: {"before": before[name], "after": after[name]} for name in before
        }
        self._check(hall)

    def _answered(self, desk: Desk, hall: Hall, session: Session, image: bytes, tpm: Tpm) -> None:
        key = f"tpm:{tpm.where}#{ANSWERS}"
        with service(desk, "operator", OPERATOR, EINPROOF_ANSWER_KEY=key) as process:
            with self.step("answer: signed by the TPM, staked") as found:
                asked = hall.ask(session.model.id, image)
                settled = hall.answer(asked, process, final=False)
                self.outcome.label = label(session, settled.output)
                self.outcome.trust = dict(settled.report)
                found.append(f"label {self.outcome.label} (truth {self.outcome.truth})")
            with self.step("the window passes") as found:
                hall.pass_time(asked.quote.window if asked.quote else 0)
                settled = hall.answer(asked, process, final=True)
                self.outcome.gas["finalise"] = settled.gas
                found.append(str(settled.report["final"]))
        self._first, self._output = asked.request, settled.output

    def _refused(self, desk: Desk, hall: Hall, model_id: bytes, image: bytes, tpm: Tpm) -> None:
        """Each in the operator's name, but for the thief's own."""
        with self.step("attacks: keys, replay, revocation") as found:
            request = hall.ask(model_id, image).request
            digest, mine = hall.said(request, self._output), self._attestation
            forged = ec.generate_private_key(ec.SECP256R1())
            stolen = mine(tpm, ANSWERS, hall.said(request, self._output, THIEF))
            self._try(desk, request, "a key that was never enrolled", _signed(forged, digest))
            self._try(desk, request, "the TPM's key in a thief's name", stolen, hall.address(THIEF))
            old = mine(tpm, ANSWERS, hall.said(self._first, self._output))
            self._try(desk, request, "a signature of another request", old)
            hall.revoke(tpm, model_id, SPARE)
            self._try(desk, request, "a revoked key", mine(tpm, SPARE, digest))
            hall.pass_time(LIFE)
            self._try(desk, request, "an expired key", mine(tpm, ANSWERS, digest))
            found.append(f"{len(self.outcome.refused)} refused")
        with self.step("nobody answered: the payment goes back"):
            hall.refund(request)

    def _try(
        self, desk: Desk, request: Request, name: str, evidence: bytes, payee: str = ""
    ) -> None:
        payee = payee or Hall(desk).address(OPERATOR)
        error = desk.try_answer(request, payee, self._output, evidence)
        if error is None:
            raise StoryFailed(f"expected {name} to be refused, it was accepted")
        self.outcome.refused[name] = error

    @staticmethod
    def _attestation(tpm: Tpm, name: str, digest: bytes) -> bytes:
        key = tpm.sealed(name.encode(), REGISTERS)
        return tpm.answer_point(key) + b"".join(tpm.sign(key, digest))

    def _check(self, ladder: Ladder) -> None:
        """The operator has its fee, the cheat lost its lock, of which the requester has its
        coverage and the challenger its reward; gas makes the small differences."""
        gained = {name: row["after"] - row["before"] for name, row in self.outcome.sheet.items()}
        lost = -self.outcome.slashed_gwei * GWEI
        covered = COVERAGE - FEE
        right = (
            self.outcome.label == self.outcome.truth != self.outcome.claimed
            and -ETHER // 100 < gained["operator"] <= FEE
            and lost - ETHER // 100 < gained["cheating operator"] <= lost < 0
            and 0 < gained["challenger"] <= -lost - 2 * COVERAGE
            and covered - ETHER // 100 < gained["requester"] <= covered
            and gained["thief"] == 0
            and gained["burned"] == COVERAGE
            and errors(self.outcome.refused) == EXPECTED
        )
        if not right:
            raise StoryFailed(
                "expected a fee earned, the cheat slashed and all attacks refused, got "
                f"{self.outcome}"
            )


EXPECTED = ["KeyUnknown", "KeyUnknown", "NotSigned", "KeyRevoked", "KeyExpired"]


def errors(refused: Mapping[str, str]) -> list[str]:
    """The contracts' names of what was wrong, in the order of the attacks."""
    return [text.partition("(")[0].strip() for text in refused.values()]


def _signed(key: ec.EllipticCurvePrivateKey, digest: bytes) -> bytes:
    numbers = key.public_key().public_numbers()
    signature = key.sign(digest, ec.ECDSA(utils.Prehashed(SHA256())))
    words = (numbers.x, numbers.y, *utils.decode_dss_signature(signature))
    return b"".join(word.to_bytes(32, "big") for word in words)
