"""Deploys the whole set with Ape: `ape run deploy --rpc URL`; from Python, `deploy(account, srs)`.

    ModelRegistry   MercuryVerifier(srs)   TensorVerifier(registry, mercury)
    GuardedVerifier(tensor, registry, canary)   and the canary's model, registered
    ProofAssurance(guard, registry)        InferenceOracle()
    Dcap(Intel's root key)                 AttestationRegistry(registry, rules, dcap)
    DrandEvmnet() (every chain can check it), DrandQuicknet() or, on Anvil, DevelopmentBeacon()
    StakeVault(all that follow), or TokenVault(all that follow, token, unit);
    each of these (oracle, guard, registry, vault, ...):
    OptimisticAssurance   AttestedAssurance   CommitteeAssurance   AuditedAssurance
    BisectionAssurance   and, where the chain has BLS12-381 (EIP-2537):
    BlsKeys()   BlsCommitteeAssurance(..., keys)
    Bounty(oracle, BisectionAssurance)
    and a combination, of what is named or, where there are attesters, of audited and attested: a
    vault of its own, each part once more, CombinedAssurance(oracle, parts)

and writes deployments/<chain id>.json:

    {"chain_id", "block", "srs": {"id", "k_max", "development"}, "pin",
     "canary": {"model_id", "input", "output"},
     "optimistic": IOptimisticAssurance.Parameters, "attested": likewise,
     "attesters": IAttestationRegistry.Rules,
     "coin": {"token", "unit"}, where stakes are in a token,
     "committee": ICommitteeAssurance.Rules, "large_committee": likewise, of BlsCommitteeAssurance,
     "combination": {"vault", "parts": [{"name", "address", "code_hash", "terms"}]},
     "contracts": {name: {"address", "code_hash"}}}

No contract has an owner: once deployed, the deploying account is an account like any other, unless
it is an attester. Attesters are named for ever; without any there is no attested tier, but on
Anvil, where the deploying account is the one attester. A chain that has no P-256 (EIP-7951) can
have no attested tier.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from decimal import Decimal, DecimalException
from pathlib import Path
from typing import Any

import ape
import click
from ape.api import AccountAPI
from ape.contracts import ContractInstance
from eth_hash.auto import keccak
from eth_utils.address import (
    is_address,
    is_checksum_address,
    is_checksum_formatted_address,
    to_checksum_address,
)

from oracle.attestation.roots import INTEL_KEY
from oracle.canary import canary
from oracle.domain.terms import LEAST_AUDITS, WHOLE, ClaimTerms
from oracle.standalone import standalone
from prover import kernels
from prover.errors import EinproofError
from prover.field import ELEMENT_BYTES
from prover.model import Model
from prover.srs import Srs, development_srs, encode_g2, load_srs

TOKEN_VAULT = "contracts/assurance/TokenVault.sol"
FOLDER = Path(__file__).resolve().parent.parent / "deployments"
CONTRACTS = FOLDER.parent / "contracts"
DEVELOPMENT_CHAIN = 31337
DEVELOPMENT_K = 12
DEVELOPMENT_BEACON = "DevelopmentBeacon"
#: DrandQuicknet for chains with EIP-2537.
BEACONS = ("DrandEvmnet", "DrandQuicknet", DEVELOPMENT_BEACON)
#: Members from which one signature of all costs less than one of each (docs/assurance.md):
#: BlsCommitteeAssurance is for so many, CommitteeAssurance for fewer; and how many by default.
MANY, LARGE = 24, 32
FEWEST, MOST = 3, 64
#: AttestationRegistry.MOST_ATTESTERS.
MOST_ATTESTERS = 32
#: EIP-2537's pairing, and of one pair of points at infinity, which multiply to one.
PAIRING, INFINITY = "0x000000000000000000000000000000000000000F", "0x" + "00" * 384
#: Where P-256 is checked (EIP-7951), and what attested/P256.sol tries there: a digest, r, s, x, y.
P256 = "0x0000000000000000000000000000000000000100"
SAMPLE = (
    "af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf"
    "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
    "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
    "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
    "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
)
#: ERC-20's optional function: how many digits of its amounts are behind the point.
DECIMALS = "0x" + keccak(b"decimals()")[:4].hex()
#: Parts of a split, at most: compositions of so many segments are split at once.
ARITY = 64
HOUR, GWEI, ETHER = 3600, 10**9, 10**18
#: What CombinedAssurance can put together, by its name; the services answer these together. And
#: what it does, where there are attesters: one claim of ten is audited.
AUDITED, ATTESTED = "audited", "attested"
PARTS = {
    "optimistic": "OptimisticAssurance",
    AUDITED: "AuditedAssurance",
    ATTESTED: "AttestedAssurance",
}
COMBINATION = "audited:0.1+attested"
ENROLMENT_DELAY, KEY_LIFE = 48 * HOUR, 7 * 24 * HOUR
#: Mainnet, its test networks, Anvil. Any other chain is taken for an L2: longer clocks are safe.
LAYER_1 = (1, 560048, 11155111, DEVELOPMENT_CHAIN)


class DeployError(EinproofError):
    """A deployment that cannot be made; the message says what to do."""


def deploy(
    account: AccountAPI,
    srs: Srs,
    folder: Path = FOLDER,
    attesters: Sequence[str] = (),
    beacon_name: str = "",
    members: int = 0,
    token: str = "",
    price: str = "",
    combination: str = "",
) -> dict[str, Any]:
    """Deploys on the chain that ape is connected to, and writes its file; returns what it wrote.
    `beacon_name` is one of BEACONS, a chain's default if empty; `members` is the size of a
    committee: of the large one from MANY on, else of the small one. With `token`, stakes are in
    that ERC-20, of which `price` are worth an ether: the vault counts in units that are worth a
    gwei then, so that parameters, terms and seats are what they are in ether. `combination` names
    tiers that vouch together, as COMBINATION does.

    Raises DeployError where the account has no funds, for a development SRS on a real chain, and
    for attesters, a combination, a beacon, a committee or a token that are none there.
    """
    chain_id = ape.networks.provider.chain_id
    if srs.development and chain_id != DEVELOPMENT_CHAIN:
        raise DeployError(
            f"the development SRS is forgeable by anyone: expected chain id {DEVELOPMENT_CHAIN}, "
            f"got {chain_id}; import a ceremony with einproof srs import"
        )
    if account.balance == 0:
        raise DeployError(
            f"account {account.address} has no funds on chain {chain_id}: send it some ether"
        )
    development = chain_id == DEVELOPMENT_CHAIN
    beacon_name = beacon_name or (DEVELOPMENT_BEACON if development else "DrandEvmnet")
    if beacon_name not in BEACONS or (beacon_name == DEVELOPMENT_BEACON and not development):
        raise DeployError(
            f"expected one of {', '.join(BEACONS)} as a beacon, {DEVELOPMENT_BEACON} on chain id "
            f"{DEVELOPMENT_CHAIN} only; got {beacon_name} on {chain_id}"
        )
    p256, named = has_p256(), attesters_of(attesters)
    if named and not p256:
        raise DeployError(
            "an attested tier (--attester) needs P-256, precompiled at 0x100 (EIP-7951): chain "
            f"{chain_id} does not tell a good signature from a bad one there"
        )
    named = named or [str(account.address)] * (development and p256)
    joined = combination_of(combination or (COMBINATION if named else ""), bool(named))
    bls = has_bls()
    if members and not (FEWEST <= members <= MOST and (bls or members < MANY)):
        raise DeployError(
            f"expected a committee of {FEWEST} to {MOST if bls else MANY - 1} members on chain "
            f"{chain_id}, which has {'' if bls else 'no '}BLS12-381 (EIP-2537); got {members}"
        )
    coin = {"token": token, "unit": unit_of(token, price)} if token or price else {}
    block = ape.chain.blocks.head.number or 0
    compile_changed()

    registry = _create(account, "ModelRegistry")
    mercury = _create(account, "MercuryVerifier", list(srs.s_g1), _words(srs), srs.k_max)
    tensor = _create(account, "TensorVerifier", registry, mercury)
    false = canary(srs)
    _register(account, registry, false.model)
    guard = _create(account, "GuardedVerifier", tensor, registry, false.hash)
    proof = _create(account, "ProofAssurance", guard, registry)
    oracle = _create(account, "InferenceOracle")
    rules = (named, len(named) // 2 + 1, ENROLMENT_DELAY, KEY_LIFE)
    quotes = [_create(account, "Dcap", *_halves(INTEL_KEY))] if named else []
    vouched = [_create(account, "AttestationRegistry", registry, rules, made) for made in quotes]
    beacon = _create(account, beacon_name)
    optimistic, attested = parameters(chain_id), attested_parameters(chain_id)
    few, many = (members, LARGE) if members < MANY else (0, members)
    seats, large = committee_rules(chain_id, few), committee_rules(chain_id, many)
    keys = [_create(account, "BlsKeys")] if bls else []
    # Each after oracle, guard, registry and vault; the vault names them before they are made.
    staked: list[tuple[str, tuple[Any, ...]]] = [
        ("OptimisticAssurance", (tuple(optimistic.values()),)),
        *(("AttestedAssurance", (tuple(attested.values()), known)) for known in vouched),
        ("CommitteeAssurance", (beacon, tuple(seats.values()))),
        ("AuditedAssurance", (tuple(optimistic.values()), beacon)),
        ("BisectionAssurance", (tuple(optimistic.values()), ARITY)),
        *(("BlsCommitteeAssurance", (beacon, tuple(large.values()), held)) for held in keys),
    ]
    vault = _open_vault(account, coin, len(staked))
    tiers = [_create(account, name, oracle, guard, registry, vault, *more) for name, more in staked]
    (compositions,) = [tier for tier in tiers if tier.contract_type.name == "BisectionAssurance"]
    bounty = _create(account, "Bounty", oracle, compositions)
    arguments = {name: (guard, registry, more) for name, more in staked if name in joined}
    combined: ContractInstance | None = None
    told: dict[str, Any] = {}
    if joined:
        combined, told = _combine(account, coin, oracle, joined, arguments)

    deployment = {
        "chain_id": chain_id,
        "block": block + 1,
        "srs": {"id": _hex(srs.id), "k_max": srs.k_max, "development": srs.development},
        "pin": _hex(proof.pin()),
        "canary": {
            "model_id": _hex(false.model.id),
            "input": _hex(false.input),
            "output": _hex(false.output),
        },
        "optimistic": optimistic,
        "attested": attested,
        **({"coin": coin} if coin else {}),
        "attesters": dict(zip(("attesters", "quorum", "delay", "life"), rules, strict=True)),
        "committee": seats,
        **({"large_committee": large} if keys else {}),
        **({"combination": told} if combined else {}),
        "contracts": _entries(
            [
                registry,
                mercury,
                tensor,
                guard,
                proof,
                oracle,
                *quotes,
                *vouched,
                beacon,
                *keys,
                vault,
                *tiers,
                bounty,
                *([combined] if combined else []),
            ]
        ),
    }
    write(deployment, folder)
    return deployment


def _open_vault(account: AccountAPI, coin: dict[str, Any], tiers: int) -> ContractInstance:
    """For so many tiers, which the account deploys next."""
    sender, following = str(account.address), int(account.nonce) + 1
    named = [created(sender, following + at) for at in range(tiers)]
    if coin:
        return account.deploy(standalone(TOKEN_VAULT), named, *coin.values())
    return _create(account, "StakeVault", named)


def _combine(
    account: AccountAPI,
    coin: dict[str, Any],
    oracle: ContractInstance,
    joined: dict[str, bytes],
    arguments: dict[str, tuple[ContractInstance, ContractInstance, tuple[Any, ...]]],
) -> tuple[ContractInstance, dict[str, Any]]:
    """The tiers that are joined, made for the address that their combination will have; and its
    entry in the file."""
    vault = _open_vault(account, coin, len(joined))
    address = created(str(account.address), int(account.nonce) + len(joined))
    parts = []
    for name in joined:
        guard, registry, more = arguments[name]
        parts.append(_create(account, name, address, guard, registry, vault, *more))
    named = [(str(part.address), fixed) for part, fixed in zip(parts, joined.values(), strict=True)]
    combined = _create(account, "CombinedAssurance", oracle, named)
    entries = _entries(parts)
    told = [{"name": name, **entries[name], "terms": _hex(fixed)} for name, fixed in joined.items()]
    return combined, {"vault": str(vault.address), "parts": told}


def parameters(chain_id: int) -> dict[str, int]:
    """IOptimisticAssurance.Parameters of a chain, in their order (docs/assurance.md, Terms)."""
    first = chain_id in LAYER_1
    return {
        "window": 4 * HOUR if first else 36 * HOUR,
        "largeWindow": 24 * HOUR if first else 36 * HOUR,
        "largeCoverage": 10 * ETHER // GWEI,
        "inclusionDelay": 0 if first else 24 * HOUR,
        "challengerCost": 8 * 10**6,  # gwei: 0.008 ether
        "verifyGas": 3_000_000,
        "gasPriceCap": 20 * GWEI,
        "provingPrice": 10**12,
    }


def attested_parameters(chain_id: int) -> dict[str, int]:
    """The same of the attested tier: an hour, and what it takes to force a transaction in."""
    found = parameters(chain_id)
    window = HOUR + found["inclusionDelay"]
    return {**found, "window": window, "largeWindow": window}


def committee_rules(chain_id: int, seats: int = 0) -> dict[str, int]:
    """ICommitteeAssurance.Rules of a chain, in their order. Seats of an ether: 7 unless named; on
    Anvil 3, so that few processes are a committee there. More than two thirds must agree; of
    three, two."""
    seats = seats or (3 if chain_id == DEVELOPMENT_CHAIN else 7)
    first = chain_id in LAYER_1
    return {
        "seats": seats,
        "quorum": 2 if seats == 3 else 2 * seats // 3 + 1,
        "seatStake": ETHER // GWEI,
        "fine": ETHER // GWEI // 100,
        "window": 4 * HOUR if first else 36 * HOUR,
        "grace": HOUR,
    }


def has_bls() -> bool:
    """Whether the chain that ape is connected to computes pairings of BLS12-381 (EIP-2537)."""
    return _is_true(PAIRING, INFINITY)


def has_p256() -> bool:
    """Whether it checks signatures of P-256 (EIP-7951): a good one holds, for its digest only."""
    other = bytes(255 - byte for byte in bytes.fromhex(SAMPLE[:64])).hex()
    return _is_true(P256, "0x" + SAMPLE) and not _is_true(P256, "0x" + other + SAMPLE[64:])


def _is_true(precompiled: str, data: str) -> bool:
    found = ape.networks.provider.web3.eth.call({"to": precompiled, "data": data})
    return bytes(found) == (1).to_bytes(32, "big")


def attesters_of(named: Sequence[str]) -> list[str]:
    """Their addresses, as the registry takes them; they are for ever, so that a checksum that is
    there has to be right. Raises DeployError."""
    found: list[str] = []
    for name in named:
        address = to_checksum_address(name) if is_address(name) else ""
        misspelt = is_checksum_formatted_address(name) and not is_checksum_address(name)
        if not address or not int(address, 16) or misspelt:
            raise DeployError(f"expected the address of an attester, got {name or 'nothing'}")
        if address in found:
            raise DeployError(f"attester {address} is named twice: each has one word")
        found.append(address)
    if len(found) > MOST_ATTESTERS:
        raise DeployError(f"expected {MOST_ATTESTERS} attesters at most, got {len(found)}")
    return found


def combination_of(text: str, attesters: bool) -> dict[str, bytes]:
    """The contracts that `audited:0.1+attested` names, and what it fixes of their terms: the share
    of audits; windows are each tier's own. Raises DeployError."""
    found: dict[str, bytes] = {}
    for part in text.split("+") if text else ():
        name, colon, share = part.partition(":")
        try:
            audits = Decimal(share) * WHOLE if colon else Decimal(0)
        except DecimalException:
            audits = Decimal(-1)
        rated = audits.is_finite() and LEAST_AUDITS <= audits <= WHOLE and audits % 1 == 0
        good = rated if name == AUDITED else not colon
        if name not in PARTS or PARTS[name] in found or not good:
            raise DeployError(
                f"expected a combination as {COMBINATION}, of {', '.join(PARTS)}, each once, "
                f"audited with a share of {LEAST_AUDITS / WHOLE} to 1; got {text}"
            )
        found[PARTS[name]] = ClaimTerms(0, 0, audits=int(audits)).word
    if len(found) == 1:
        raise DeployError(f"expected two tiers or more in a combination, got {text}")
    if PARTS[ATTESTED] in found and not attesters:
        raise DeployError(f"{text} needs attesters: name them with --attester")
    return found


def unit_of(token: str, price: str) -> int:
    """Of a token's smallest parts, how many are worth a gwei, where `price` whole ones are worth an
    ether. Raises DeployError if that is none, or the token is no ERC-20 that says its decimals."""
    web3 = ape.networks.provider.web3
    said = bytes(web3.eth.call({"to": token, "data": DECIMALS})) if is_address(token) else b""
    try:
        worth = Decimal(price)
    except DecimalException:
        worth = Decimal(0)
    if len(said) != ELEMENT_BYTES or not worth.is_finite() or worth <= 0:
        raise DeployError(
            "expected the address of an ERC-20 that says its decimals, and how many of it are "
            f"worth an ether; got {token or 'no token'} and {price or 'no price'}"
        )
    unit = int(worth * 10 ** int.from_bytes(said, "big") / GWEI)
    if unit == 0:
        raise DeployError(f"the smallest part of {token} is worth more than a gwei: too coarse")
    return unit


def created(sender: str, nonce: int) -> str:
    """The contract that an account's transaction creates: keccak256(rlp([sender, nonce]))[12:].
    The vault names the tier before there is one."""
    number = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
    if len(number) != 1 or number[0] >= 0x80:
        number = bytes([0x80 + len(number)]) + number
    body = b"\x94" + bytes.fromhex(sender[2:]) + number
    return str(to_checksum_address(keccak(bytes([0xC0 + len(body)]) + body)[12:]))


def deploy_classifier(
    account: AccountAPI, model_id: bytes, deployment: dict[str, Any], folder: Path = FOLDER
) -> dict[str, Any]:
    """Adds the example consumer of a registered model to a deployment and its file."""
    addresses = {name: entry["address"] for name, entry in deployment["contracts"].items()}
    classifier = _create(
        account,
        "DigitClassifier",
        addresses["InferenceOracle"],
        addresses["ProofAssurance"],
        model_id,
    )
    contracts = deployment["contracts"] | _entries([classifier])
    deployment = {**deployment, "contracts": contracts}
    write(deployment, folder)
    return deployment


def write(deployment: dict[str, Any], folder: Path = FOLDER) -> Path:
    """Writes deployments/<chain id>.json, whole or not at all; its path."""
    path = folder / f"{deployment['chain_id']}.json"
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with partial.open("w") as file:
        file.write(json.dumps(deployment, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    return path


def compile_changed() -> None:
    """Compiles all contracts anew if any source changed. Ape looks only at the file itself, and so
    would deploy a contract that was compiled against an older version of what it imports."""
    sources = sorted(CONTRACTS.rglob("*.sol"))
    digest = hashlib.sha256((CONTRACTS.parent / "ape-config.yaml").read_bytes())
    for path in sources:
        digest.update(str(path.relative_to(CONTRACTS)).encode() + b"\0" + path.read_bytes())
    stamp = CONTRACTS.parent / ".build" / "contracts.sha256"
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return
    ape.project.load_contracts(use_cache=False)
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(digest.hexdigest())


def _register(account: AccountAPI, registry: ContractInstance, model: Model) -> None:
    """Puts a model without fixed tiles, of one blob, on the chain: its program."""
    registry.store(model.program_bytes, sender=account)
    programs = [registry.addressOf(model.program_bytes)]
    registry.register(programs, [], model.srs_id, model.aux_hash, sender=account)


def _create(account: AccountAPI, name: str, *arguments: Any) -> ContractInstance:
    return account.deploy(ape.project.get_contract(name), *arguments)


def _entries(contracts: Sequence[ContractInstance]) -> dict[str, dict[str, str]]:
    return {
        made.contract_type.name or "": {
            "address": str(made.address),
            "code_hash": _hex(keccak(bytes(made.code))),
        }
        for made in contracts
    }


def _words(srs: Srs) -> list[int]:
    """[s]_2 as EIP-197 has it."""
    data = encode_g2(srs.s_g2)
    starts = range(0, len(data), ELEMENT_BYTES)
    return [int.from_bytes(data[i : i + ELEMENT_BYTES], "big") for i in starts]


def _halves(point: bytes) -> tuple[bytes, bytes]:
    """x and y."""
    return point[:ELEMENT_BYTES], point[ELEMENT_BYTES:]


def _hex(data: bytes) -> str:
    return "0x" + bytes(data).hex()


@click.command()
@click.option("--rpc", default="http://127.0.0.1:8545", show_default=True, help="Node to use.")
@click.option("--account", "alias", default="", help="Ape account; else Anvil's first.")
@click.option("--srs", "path", type=click.Path(path_type=Path), help="srs.bin; else development.")
@click.option("--attester", "attesters", multiple=True, help="Of the attested tier; repeat it.")
@click.option("--beacon", type=click.Choice(BEACONS), help="Default by chain.")
@click.option(
    "--members", type=int, default=0, help="Of a committee; many: of BlsCommitteeAssurance."
)
@click.option("--token", default="", help="ERC-20 that stakes are in; else ether.")
@click.option("--price", default="", help="How many of the token are worth an ether.")
@click.option("--combination", default="", help=f"Default, with attesters: {COMBINATION}.")
@click.option("--force", is_flag=True, help="Deploy anew although the chain has a deployment.")
def cli(
    rpc: str,
    alias: str,
    path: Path | None,
    attesters: tuple[str, ...],
    beacon: str | None,
    members: int,
    token: str,
    price: str,
    combination: str,
    force: bool,
) -> None:
    """Deploys the contracts and writes deployments/<chain id>.json."""
    try:
        tier = kernels.get()
        srs = load_srs(tier, path) if path else development_srs(tier, DEVELOPMENT_K)
        with ape.networks.parse_network_choice(rpc):
            chain_id = ape.networks.provider.chain_id
            known = FOLDER / f"{chain_id}.json"
            if known.exists() and chain_id != DEVELOPMENT_CHAIN and not force:
                raise DeployError(f"{known} exists: pass --force to deploy a second set")
            if not alias and chain_id != DEVELOPMENT_CHAIN:
                raise DeployError(
                    f"Anvil's accounts are public: expected chain id {DEVELOPMENT_CHAIN}, got "
                    f"{chain_id}; name an account with --account"
                )
            account = ape.accounts.load(alias) if alias else ape.accounts.test_accounts[0]
            deployment = deploy(
                account,
                srs,
                attesters=attesters,
                beacon_name=beacon or "",
                members=members,
                token=token,
                price=price,
                combination=combination,
            )
    except EinproofError as error:
        raise click.ClickException(str(error)) from error
    for name, entry in deployment["contracts"].items():
        click.echo(f"{name:21} {entry['address']}")
    if srs.development:
        click.echo("development SRS: anyone can forge proofs on this chain", err=True)
