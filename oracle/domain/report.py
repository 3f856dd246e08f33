"""The trust report: what an answer rests on, in words that can be printed beside it."""

from oracle.domain.chain import Identity
from oracle.domain.request import Request, Tier

Report = dict[str, object]

#: How the label of a development SRS reads wherever it shows.
DEVELOPMENT = "DEVELOPMENT SRS: its secret is public, anyone can forge proofs"


def trust_report(identity: Identity, request: Request, tier: Tier, payee: str = "") -> Report:
    """The report for an answer under the Proof tier; plain JSON values.

    It speaks of what was asked for: an answer under another tier or pin is refused on-chain, so
    whoever settled the request, the report is the same but for the payee.
    """
    cheats = ["whoever knows the secret behind the SRS (a ceremony: all its participants together)"]
    if tier.forgeable:
        cheats = [f"anyone ({DEVELOPMENT})"]
    cheats += [
        "whoever finds a mistake in the verifier contract or in the argument that it checks",
        "the chain itself: its validators, and a reorganisation deeper than the confirmations",
    ]
    return {
        "claim": {
            "chain_id": identity.chain_id,
            "oracle": identity.oracle,
            "request_id": _hex(request.id),
            "model_id": _hex(request.model_id),
            "input_hash": _hex(request.input_hash),
            "payee": payee,
        },
        "tier": "Proof",
        "final": "in the transaction that answered",
        "proved": [
            "the output is what the program registered under the model id computes, in its integer "
            "semantics and with the weights committed there, from the input hashed in the request",
            "the proof was made for this request and this payee, and serves no other",
        ],
        "not_proved": [
            "that the model is accurate, fair, or what its name says: audit the program",
            "that the integer model equals the floating-point one it was made from",
            "that the input is true: the requester chose it",
        ],
        "could_have_cheated": cheats,
        "verifier": {
            "assurance": tier.assurance,
            "address": tier.verifier,
            "code_hash": _hex(tier.code_hash),
            "pin": _hex(tier.pin),
        },
        "srs": {
            "id": _hex(tier.srs_id),
            "development": tier.forgeable,
            "label": DEVELOPMENT if tier.forgeable else "ceremony",
        },
    }


def _hex(word: bytes) -> str:
    return "0x" + word.hex()
