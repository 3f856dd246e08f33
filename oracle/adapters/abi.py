"""The few functions, events and errors of the contracts that the service speaks, and their bytes.

Signatures are written out here, so that the service needs no compiled artifact; tests/oracle
compares them with the contracts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError, InsufficientDataBytes
from eth_hash.auto import keccak

from oracle.domain.errors import CallRefused
from oracle.domain.ids import REQUEST_TYPES
from oracle.domain.request import Request

REQUEST = f"({','.join(REQUEST_TYPES)})"
PROVEN = "(bytes32,bytes,bytes)"

#: name -> argument types
FUNCTIONS: Mapping[str, tuple[str, ...]] = {
    # InferenceOracle
    "request": (REQUEST, "bytes"),
    "answer": (REQUEST, "bytes", "address", "bytes", "bytes"),
    "refund": (REQUEST,),
    "deliver": (REQUEST, "address", "bytes"),
    "retryCallback": (REQUEST, "address", "bytes"),
    "statusOf": ("bytes32",),
    # ProofAssurance, OptimisticAssurance
    "pin": (),
    "verifier": (),
    "srsId": (),
    # OptimisticAssurance
    "vault": (),
    "split": ("bytes32",),
    "clocks": ("bytes32",),
    "bond": ("bytes32",),
    "caseOf": ("bytes32",),
    "challengeAt": ("bytes32", "uint256"),
    "dispute": (REQUEST, "address", "bytes32", "bytes32"),
    "reveal": ("bytes32", "uint256", "bytes32"),
    "award": ("bytes32",),
    "collect": ("bytes32", "uint256"),
    "close": (REQUEST, "address", "bytes32"),
    # CommitteeAssurance; the two whose names others have too are in MEMBERS
    "rules": (),
    "randomness": (),
    "committeeOf": ("uint256",),
    "seatCount": (),
    "seatAt": ("uint256",),
    "enrol": ("uint256",),
    "retire": ("uint256",),
    "draw": (),
    "summon": (REQUEST,),
    "summonsOf": ("bytes32",),
    "summonsBond": (),
    "reclaim": (REQUEST,),
    "commitmentAt": ("bytes32", "uint256"),
    "revealedAt": ("bytes32", "uint256"),
    "commit": ("bytes32", "bytes", "uint256", "bytes32"),
    "dissent": (REQUEST, "address", "bytes32", "bytes", "uint256"),
    "fineAbsent": ("bytes32", "bytes", "uint256"),
    # IRandomness
    "roundAfter": ("uint256",),
    "valueOf": ("uint64",),
    "timeOf": ("uint64",),
    "publish": ("uint64", "bytes"),
    "development": (),
    # AuditedAssurance
    "auditOf": (REQUEST,),
    "leastStake": ("bytes32",),
    "freeze": (REQUEST, "address", "bytes32"),
    "isFrozen": ("bytes32",),
    # StakeVault
    "stake": (),
    "appoint": ("address",),
    "queueWithdrawal": ("uint256",),
    "leave": ("address",),
    "withdraw": ("address",),
    "accountOf": ("address",),
    "credit": ("address",),
    "burned": (),
    # ITensorVerifier, IGuardedVerifier
    "srsDevelopment": (),
    "isStopped": ("bytes32",),
    "canary": (),
    "stop": ("bytes32", "bytes32", "bytes", "bytes", "bytes"),
    "stopModel": ("bytes32", "bytes", PROVEN, PROVEN),
    # ModelRegistry
    "store": ("bytes",),
    "addressOf": ("bytes",),
    "register": ("address[]", "address[]", "bytes32", "bytes32"),
    "isRegistered": ("bytes32",),
}

#: CommitteeAssurance's functions that have another tier's names.
MEMBERS: Mapping[str, tuple[str, ...]] = {
    "reveal": ("bytes32", "bytes", "uint256", "address", "bytes32", "bytes32", "bytes32"),
    "leave": ("uint256",),
}

#: TokenVault's functions that are not StakeVault's, and those of its token.
TOKEN: Mapping[str, tuple[str, ...]] = {
    "token": (),
    "unit": (),
    "stake": ("uint256",),
    "approve": ("address", "uint256"),
    "decimals": (),
}

PLACE = "(uint256,uint256,bytes32[],uint256)"
_CLAIM = (REQUEST, "address", "bytes32")

#: BisectionAssurance
GAME: Mapping[str, tuple[str, ...]] = {
    "compose": ("bytes32[]",),
    "segmentCount": ("bytes32",),
    "arity": (),
    "haltOf": ("bytes32",),
    "gameOf": ("bytes32",),
    "spanAt": ("bytes32", "uint256", "uint256"),
    "demand": (*_CLAIM, PLACE),
    "publish": (*_CLAIM, PLACE, "bytes32[]"),
    "prove": (*_CLAIM, PLACE, "bytes", "bytes", "bytes"),
    "refute": (REQUEST, "address", "bytes", "bytes", "bytes"),
    "collect": ("bytes32", "uint256", "uint256"),
    "close": (*_CLAIM, "uint256", "uint256"),
}

#: CombinedAssurance; challengeCount is of its parts
COMBINATION: Mapping[str, tuple[str, ...]] = {
    "count": (),
    "partAt": ("uint256",),
    "claimFor": ("bytes32", "uint256"),
    "conclude": (REQUEST, "uint256", "bytes", "address", "bytes", "bytes"),
    "challengeCount": ("bytes32",),
}

#: Bounty
OFFERS: Mapping[str, tuple[str, ...]] = {
    "offer": (REQUEST,),
    "earn": (REQUEST, "address", "bytes"),
    "reclaim": (REQUEST, "address"),
    "offered": ("bytes32",),
    "givenBy": ("bytes32", "address"),
}

#: name -> all argument types, as declared
EVENTS: Mapping[str, tuple[str, ...]] = {
    "Requested": ("bytes32", "bytes32", "address", REQUEST, "bytes"),
    "Answered": ("bytes32", "address", "uint8", "bytes"),
    "Returned": ("bytes32", "address", "uint8", "uint256"),
    # OptimisticAssurance
    "Disputed": ("bytes32", "uint256", "address", "uint256", "bytes32", "uint256"),
    # CommitteeAssurance
    "Drawn": ("uint256", "bytes"),
    "Dissented": ("bytes32", "address", "uint256"),
    "Fined": ("bytes32", "uint256", "uint256"),
    "Spoken": ("bytes32", "bytes"),
    # BisectionAssurance
    "Demanded": ("bytes32", "uint256", "uint256", "address", "uint256", "uint256"),
    "Published": ("bytes32", "uint256", "uint256", "bytes32[]", "uint256"),
    "SegmentProved": ("bytes32", "uint256"),
    "Refuted": ("bytes32", "uint256", "address"),
}

#: name -> argument types; what an answer, a request or a registration may be refused with
ERRORS: Mapping[str, tuple[str, ...]] = {
    # InferenceOracle
    "WrongRequester": ("address", "address"),
    "WrongInputSize": ("uint256", "uint256"),
    "WrongInput": ("bytes32", "bytes32"),
    "WrongOutputSize": ("uint256", "uint256"),
    "WrongPayment": ("uint256", "uint256"),
    "CallbackGasTooHigh": ("uint256", "uint256"),
    "DeadlineOutOfRange": ("uint256", "uint256", "uint256"),
    "ZeroAddress": (),
    "NotAContract": ("address",),
    "DuplicateRequest": ("bytes32",),
    "WrongStatus": ("bytes32", "uint8"),
    "DeadlinePassed": ("uint256", "uint256"),
    "DeadlineNotPassed": ("uint256", "uint256"),
    "WrongVerdict": ("uint8",),
    "NotEnoughGas": ("uint256", "uint256"),
    "NotWanted": ("address",),
    "NothingToDeliver": ("bytes32",),
    "NothingToRetry": ("bytes32",),
    "CallbackFailed": ("bytes32",),
    # IAssurance
    "WrongTerms": ("bytes32", "bytes32"),
    "WrongPin": ("bytes32", "bytes32"),
    # OptimisticAssurance
    "VerifierChanged": ("bytes32", "bytes32"),
    "MalformedTerms": ("bytes32",),
    "WindowTooShort": ("uint256", "uint256"),
    "ContestTooLong": ("uint256", "uint256"),
    "WrongEvidence": ("uint256", "uint256"),
    "SameOutput": ("bytes32",),
    "WrongClaim": ("bytes32", "bytes32"),
    "TooEarly": ("uint256", "uint256"),
    "TooLate": ("uint256", "uint256"),
    "OperatorSuspended": ("address",),
    "NothingToProve": ("bytes32",),
    "OutputNotUnique": ("bytes32",),
    "Stopped": ("bytes32",),
    "BondTooLow": ("uint256", "uint256"),
    "WrongOutcome": ("uint8",),
    "WrongCommitment": ("bytes32", "bytes32"),
    "NothingLeft": ("bytes32", "uint256"),
    "TransferFailed": ("address", "uint256"),
    # CommitteeAssurance
    "OnlyOwner": ("address", "address"),
    "OnlyRequester": ("address", "address"),
    "WrongBond": ("uint256", "uint256"),
    "SeatTaken": ("uint256",),
    "NoSuchSeat": ("uint256",),
    "SeatsFree": ("uint256",),
    "SeedUnknown": ("uint64",),
    "AlreadyDrawn": ("uint256",),
    "TooFewSeats": ("uint256", "uint256"),
    "WrongMembers": ("uint256", "bytes32", "bytes32"),
    "NoQuorum": ("uint256", "uint256"),
    "WrongPlace": ("uint256",),
    "WrongSignature": ("uint256", "address", "address"),
    "NotRevealed": ("uint256",),
    "CoverageAboveStake": ("uint256", "uint256"),
    # BlsCommitteeAssurance, BlsKeys
    "NoKey": ("address",),
    "WrongTotal": ("uint256", "bytes32", "bytes32"),
    "WrongAggregate": ("uint256",),
    "Taken": ("address",),
    "NotPossessed": ("address",),
    # AuditedAssurance, IRandomness
    "WrongAuditRate": ("uint256", "uint256", "uint256"),
    "StakeTooSmall": ("uint256", "uint256"),
    "AuditOpen": ("uint256", "uint256"),
    "OperatorFrozen": ("address", "uint256"),
    "NothingToFreeze": ("bytes32",),
    "WrongSignatureSize": ("uint256", "uint256"),
    "NoSuchRound": ("uint64",),
    "RoundNotMade": ("uint256", "uint256"),
    # BisectionAssurance
    "OnlyOperator": ("address", "address"),
    "WrongStates": ("bytes32", "bytes32"),
    "NoSuchPart": ("uint256", "uint256"),
    "AlreadyDemanded": ("uint256", "uint256"),
    "AlreadyGiven": ("uint256", "uint256"),
    "NotOwed": ("uint256", "uint256"),
    "StillOwed": ("uint256",),
    "WrongBoundary": ("uint256", "uint256", "uint256"),
    "WrongSegmentCount": ("uint256", "uint256", "uint256"),
    "CommittedBoundary": ("uint256",),
    # IBounty
    "NotPending": ("bytes32",),
    "Pending": ("bytes32",),
    "NotProved": ("bytes32",),
    # CombinedAssurance
    "NoEvidence": (),
    "Disagreement": ("address", "uint8", "uint8"),
    "NothingToConclude": ("bytes32", "address"),
    "NotAPart": ("address",),
    # IGuardedVerifier
    "NotTheCanary": ("bytes32", "bytes32"),
    "InnerChanged": ("bytes32", "bytes32"),
    # StakeVault
    "WrongStake": ("uint256",),
    "CoverageAboveFreeStake": ("uint256", "uint256"),
    "Overloaded": ("uint256", "uint256"),
    "Suspended": ("address",),
    "NotItsAgent": ("address", "address"),
    "TooMuch": ("uint256", "uint256"),
    "NotReady": ("uint256", "uint256"),
    "LocksRemain": ("uint256",),
    "NothingToWithdraw": ("address",),
    "IsATier": ("address",),
    # AttestedAssurance, AttestationRegistry
    "NotAttested": (),
    "NotAnAttester": ("address",),
    "NotTheOwner": ("address", "address"),
    "NotAdmitted": ("bytes32",),
    "WrongKind": ("uint8",),
    "DebugMode": (),
    "SoftwareOnly": ("uint256", "uint256"),
    "WrongQuote": (),
    "NotSigned": (),
    "CertificateRevoked": ("bytes32",),
    # Dcap
    "WrongSize": ("uint8", "uint256", "uint256"),
    "WrongHeader": (),
    "KeyNotBound": (),
    "BadSignature": ("uint8",),
    "Debuggable": ("uint8",),
    "WrongEngine": (),
    "WrongAuthority": ("uint8",),
    "OutOfTime": ("uint8", "uint256", "uint256", "uint256"),
    "NotDer": ("uint256",),
    "WrongCertificate": ("uint256",),
    "KeyKnown": ("bytes32",),
    "KeyUnknown": ("bytes32",),
    "KeyNotReady": ("uint256", "uint256"),
    "KeyExpired": ("uint256", "uint256"),
    "KeyRevoked": ("bytes32",),
    # ModelRegistry
    "WrongBlobSize": ("uint256", "uint256"),
    "BlobNotCreated": (),
    "NotABlob": ("address",),
    "ChunkNotFull": ("address", "uint256", "uint256"),
    "TooManyChunks": ("uint256", "uint256"),
    "ProgramTooShort": ("uint256", "uint256"),
    "WrongMagic": ("bytes4", "bytes4"),
    "WrongVersion": ("uint256", "uint256"),
    "TileSizeOutOfRange": ("uint256", "uint256", "uint256"),
    "WrongVerifierBytes": ("uint256", "uint256"),
    # proofs
    "WrongLength": ("uint256", "uint256"),
    "UnsupportedSize": ("uint256", "uint256"),
    "NonCanonicalScalar": ("uint256",),
    "NonCanonicalCoordinate": ("uint256",),
    "PointNotOnCurve": ("uint256", "uint256"),
    "PointAtInfinity": (),
    "DegenerateChallenge": (),
    "OpeningRejected": (),
    "PrecompileFailed": ("uint256",),
    "BadProgram": ("uint256",),
    "UnknownModel": ("bytes32",),
    "WrongSrs": ("bytes32", "bytes32"),
    # Solidity's own
    "Error": ("string",),
    "Panic": ("uint256",),
}

#: Errors that have another's name: of CommitteeAssurance, BisectionAssurance, Bounty,
#: CombinedAssurance and IRandomness.
NAMESAKES = (
    ("WrongEvidence", ("uint256",)),
    ("NothingLeft", ("bytes32",)),
    ("NothingLeft", ("bytes32", "uint256", "uint256")),
    ("NothingLeft", ("bytes32", "address")),
    ("WrongVerdict", ("address", "uint8")),
    ("WrongSignature", ("uint64",)),
)


def signature(name: str, types: Sequence[str]) -> str:
    return f"{name}({','.join(types)})"


def topic(event: str) -> bytes:
    return keccak(signature(event, EVENTS[event]).encode())


def call_data(
    function: str, *arguments: Any, among: Mapping[str, tuple[str, ...]] = FUNCTIONS
) -> bytes:
    """Selector and encoded arguments."""
    return selector(function, among) + encode(among[function], arguments)


def selector(function: str, among: Mapping[str, tuple[str, ...]] = FUNCTIONS) -> bytes:
    return keccak(signature(function, among[function]).encode())[:4]


_REFUSALS = {
    keccak(signature(name, types).encode())[:4]: (name, types)
    for name, types in (*ERRORS.items(), *NAMESAKES)
}


def refusal(data: bytes) -> CallRefused:
    """The error that revert data spells; its selector, where it is none of the above."""
    name, types = _REFUSALS.get(data[:4], ("", ()))
    if not name:
        return CallRefused(f"unknown error 0x{data[:4].hex()}" if data else "revert")
    try:
        values = decode(types, data[4:])
    except (DecodingError, InsufficientDataBytes):
        return CallRefused(name, f"0x{data[4:].hex()}")
    return CallRefused(name, ", ".join(_show(value) for value in values))


def request_from(fields: Sequence[Any], input: bytes, id: bytes, checksum: Any) -> Request:
    """The domain's request from the decoded struct."""
    shown: list[Any] = [
        checksum(value) if kind == "address" else value
        for kind, value in zip(REQUEST_TYPES, fields, strict=True)
    ]
    return replace(Request(*shown), input=input, id=id)


def _show(value: Any) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
