"""scripts/deploy.py on chains of its own, with Ape, as `ape run deploy` has it."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from oracle.adapters.chain import NodeChain
from oracle.adapters.deployment import read_deployment
from oracle.adapters.rpc import Node
from oracle.attestation.roots import INTEL_KEY
from oracle.cli.deploy import _show
from oracle.domain import ids
from prover import kernels
from prover.srs import Srs, development_srs
from tests.evm import ROOT, Chain

Site = tuple[Chain, Any]

NAMES = [
    "ModelRegistry",
    "MercuryVerifier",
    "TensorVerifier",
    "GuardedVerifier",
    "ProofAssurance",
    "InferenceOracle",
    "Dcap",
    "AttestationRegistry",
    "DevelopmentBeacon",
    "BlsKeys",
    "StakeVault",
    "OptimisticAssurance",
    "AttestedAssurance",
    "CommitteeAssurance",
    "AuditedAssurance",
    "BisectionAssurance",
    "BlsCommitteeAssurance",
    "Bounty",
    "CombinedAssurance",
]


#: Code of a contract that answers 1, whatever it is asked.
YES = "0x600160005260206000f3"
STAKED = NAMES[NAMES.index("OptimisticAssurance") : NAMES.index("Bounty")]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("deploy_script", ROOT / "scripts/deploy.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def srs(tmp_path_factory: pytest.TempPathFactory) -> Srs:
    return development_srs(kernels.get("reference"), 7, tmp_path_factory.mktemp("srs"))


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A chain that ape speaks to, and the account that deploys there."""
    import ape

    monkeypatch.chdir(ROOT)
    with Chain.start() as chain, ape.networks.parse_network_choice(chain.url):
        yield chain, ape.accounts.test_accounts[0]


@pytest.mark.slow
def test_deploy_good_writes_what_is_on_the_chain(
    script: ModuleType, srs: Srs, tmp_path: Path, site: Site
) -> None:
    chain, account = site
    made = script.deploy(account, srs, tmp_path)
    made = script.deploy_classifier(account, bytes(32), made, tmp_path)
    assert json.loads((tmp_path / "31337.json").read_text()) == made
    assert [path.name for path in tmp_path.iterdir()] == ["31337.json"]
    assert list(made["contracts"]) == [*NAMES, "DigitClassifier"]
    for entry in (*made["contracts"].values(), *made["combination"]["parts"]):
        code = bytes(chain.web3.eth.get_code(entry["address"]))
        assert code and "0x" + keccak(code).hex() == entry["code_hash"]
    assert made["srs"] == {"id": "0x" + srs.id.hex(), "k_max": 7, "development": True}
    guard = made["contracts"]["GuardedVerifier"]
    words = [guard["address"], bytes.fromhex(guard["code_hash"][2:]), srs.id]
    assert made["pin"] == "0x" + keccak(encode(["address", "bytes32", "bytes32"], words)).hex()
    vault = made["contracts"]["StakeVault"]["address"]
    for staked in STAKED:
        tier = made["contracts"][staked]["address"]
        word = encode(["address"], [tier])
        for name, argument in (("isTier(address)", word), ("vault()", b"")):
            data = keccak(name.encode())[:4] + argument
            to = vault if argument else tier
            answer = bytes(chain.web3.eth.call({"to": to, "data": "0x" + data.hex()}))
            assert answer == encode(["uint256"], [1] if argument else [int(vault, 16)])
    canary = [bytes.fromhex(text[2:]) for text in made["canary"].values()]
    assert read(chain, guard["address"], "canary()") == ids.statement(*canary)
    assert canary[1:] == [b"\0\1\0\1", bytes(4)]  # relu of 1 is not 0
    registry = made["contracts"]["ModelRegistry"]["address"]
    assert read(chain, registry, "isRegistered(bytes32)", canary[0]) == padded(1)
    beacon = made["contracts"]["DevelopmentBeacon"]["address"]
    tier = made["contracts"]["AuditedAssurance"]["address"]
    assert read(chain, tier, "randomness()") == padded(int(beacon, 16))
    assert made["attesters"]["attesters"] == [str(account.address)]
    tier = made["contracts"]["AttestedAssurance"]["address"]
    data = "0x" + keccak(b"attestations()")[:4].hex()
    answer = bytes(chain.web3.eth.call({"to": tier, "data": data}))
    found = made["contracts"]["AttestationRegistry"]["address"]
    assert answer == encode(["address"], [found])
    dcap = made["contracts"]["Dcap"]["address"]
    assert read(chain, found, "dcap()") == padded(int(dcap, 16))
    assert read(chain, dcap, "root()") == INTEL_KEY
    for name, told in (
        ("CommitteeAssurance", "committee"),
        ("BlsCommitteeAssurance", "large_committee"),
    ):
        words = encode(["uint256"] * 6, list(made[told].values()))
        assert read(chain, made["contracts"][name]["address"], "rules()") == words
    large = made["contracts"]["BlsCommitteeAssurance"]["address"]
    assert read(chain, large, "keys()") == padded(int(made["contracts"]["BlsKeys"]["address"], 16))
    assert (made["committee"]["seats"], made["large_committee"]["seats"]) == (3, 32)
    bounty = made["contracts"]["Bounty"]["address"]
    for name, read_as in (
        ("InferenceOracle", "oracle()"),
        ("BisectionAssurance", "compositions()"),
    ):
        found = made["contracts"][name]["address"]
        assert read(chain, bounty, read_as) == padded(int(found, 16))
    check_combination(chain, made)


def check_combination(chain: Chain, made: dict[str, Any]) -> None:
    """Audited and attested, behind one vault: each answers to the combination, which names it."""
    combined = made["contracts"]["CombinedAssurance"]["address"]
    oracle = made["contracts"]["InferenceOracle"]["address"]
    assert read(chain, combined, "oracle()") == padded(int(oracle, 16))
    assert read(chain, combined, "count()") == padded(2)
    parts, vault = made["combination"]["parts"], made["combination"]["vault"]
    assert [part["name"] for part in parts] == ["AuditedAssurance", "AttestedAssurance"]
    assert [int(part["terms"], 16) for part in parts] == [1000 << 63, 0]
    for index, part in enumerate(parts):
        named = padded(int(part["address"], 16)) + bytes.fromhex(part["terms"][2:])
        assert read(chain, combined, "partAt(uint256)", padded(index)) == named
        assert read(chain, part["address"], "oracle()") == padded(int(combined, 16))
        assert read(chain, part["address"], "vault()") == padded(int(vault, 16))
        assert read(chain, vault, "isTier(address)", padded(int(part["address"], 16))) == padded(1)


@pytest.mark.slow
def test_deploy_with_a_token_makes_its_vault_in_place_of_ethers(
    script: ModuleType, srs: Srs, tmp_path: Path, site: Site
) -> None:
    chain, account = site
    token = chain.deploy("tests/contracts/harness/Token.sol").address
    made = script.deploy(account, srs, tmp_path, token=token, price="3000")
    assert list(made["contracts"]) == [name.replace("Stake", "Token", 1) for name in NAMES]
    assert made["coin"] == {"token": token, "unit": 3000 * 10**9}
    deployment = read_deployment(31337, tmp_path / "31337.json")
    assert deployment.vault == made["contracts"]["TokenVault"]["address"]
    assert read(chain, deployment.vault, "token()") == padded(int(token, 16))
    assert read(chain, deployment.vault, "unit()") == padded(3000 * 10**9)
    for name in STAKED:
        tier = made["contracts"][name]["address"]
        assert read(chain, tier, "vault()") == padded(int(deployment.vault, 16))
    assert read(chain, made["combination"]["vault"], "token()") == padded(int(token, 16))
    check_combination(chain, made)


def test_attesters_of_what_is_named_twice_or_is_no_address_is_refused(script: ModuleType) -> None:
    named = ["0x" + f"{number:040x}" for number in range(1, script.MOST_ATTESTERS + 2)]
    assert script.attesters_of(()) == []
    mixed = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
    assert script.attesters_of([mixed.lower(), named[0]]) == [mixed, named[0]]
    for wrong in ("", "0x12", "alice", mixed[2:-1], mixed.replace("F", "f", 1), "0x" + "00" * 20):
        with pytest.raises(script.DeployError, match="expected the address of an attester"):
            script.attesters_of([named[0], wrong])
    with pytest.raises(script.DeployError, match="is named twice"):
        script.attesters_of([mixed, named[0], mixed.lower()])
    assert len(script.attesters_of(named[:-1])) == script.MOST_ATTESTERS
    with pytest.raises(script.DeployError, match="32 attesters at most, got 33"):
        script.attesters_of(named)
    registry = (ROOT / "contracts/attested/AttestationRegistry.sol").read_text()
    assert f"MOST_ATTESTERS = {script.MOST_ATTESTERS};" in registry


@pytest.mark.parametrize(
    ("attesters", "said"),
    [(["a", "b", "c"], "2 of 3 must approve"), ([], "none: no attested tier")],
)
def test_deploy_says_how_many_attesters_must_approve(
    capsys: pytest.CaptureFixture[str], attesters: list[str], said: str
) -> None:
    rules = {"attesters": attesters, "quorum": len(attesters) // 2 + 1}
    srs = {"id": "0x00", "development": False}
    _show({"contracts": {}, "attesters": rules, "srs": srs})
    assert f"attesters             {said}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", {}),
        ("audited:0.1+attested", {"AuditedAssurance": 1000, "AttestedAssurance": 0}),
        ("attested+optimistic", {"AttestedAssurance": 0, "OptimisticAssurance": 0}),
        (
            "optimistic+audited:1+attested",
            {"OptimisticAssurance": 0, "AuditedAssurance": 10_000, "AttestedAssurance": 0},
        ),
    ],
)
def test_combination_of_its_names_in_their_order(
    script: ModuleType, text: str, parts: dict[str, int]
) -> None:
    found = script.combination_of(text, True)
    words = {name: (audits << 63).to_bytes(32, "big") for name, audits in parts.items()}
    assert list(found.items()) == list(words.items())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("audited+attested", "audited with a share"),
        ("audited:+attested", "audited with a share"),
        ("audited:0.01+attested", "of 0.02 to 1"),
        ("audited:1.1+attested", "of 0.02 to 1"),
        ("audited:0.12345+attested", "expected a combination as"),
        ("audited:nan+attested", "expected a combination as"),
        ("audited:1e999999+attested", "expected a combination as"),
        ("audited:much+attested", "expected a combination as"),
        ("optimistic:0.1+attested", "expected a combination as"),
        ("optimistic:0+attested", "expected a combination as"),
        ("optimistic:nan+attested", "expected a combination as"),
        ("audited:0.1+audited:0.2", "each once"),
        ("proof+attested", "of optimistic, audited, attested"),
        ("attested+", "expected a combination as"),
        ("attested", "two tiers or more"),
    ],
)
def test_combination_of_what_is_none_is_refused(script: ModuleType, text: str, why: str) -> None:
    with pytest.raises(script.DeployError, match=why):
        script.combination_of(text, True)


def test_combination_of_attested_without_attesters_is_refused(script: ModuleType) -> None:
    assert len(script.combination_of("optimistic+audited:0.5", False)) == 2
    with pytest.raises(script.DeployError, match="needs attesters"):
        script.combination_of("audited:0.5+attested", False)


@pytest.mark.slow
def test_deploy_with_a_combination_makes_the_one_that_is_named(
    script: ModuleType, srs: Srs, tmp_path: Path, site: Site
) -> None:
    """And the service reads it, by its pin."""
    chain, account = site
    made = script.deploy(account, srs, tmp_path, combination="optimistic+audited:0.5")
    parts = made["combination"]["parts"]
    assert [part["name"] for part in parts] == ["OptimisticAssurance", "AuditedAssurance"]
    assert [int(part["terms"], 16) for part in parts] == [0, 5000 << 63]
    deployment = read_deployment(31337, tmp_path / "31337.json")
    assert deployment.combined == "optimistic+audited"
    node = Node(chain.url)
    known = NodeChain(node, made["contracts"]["InferenceOracle"]["address"], deployment.tiers,
                      deployment.parts)  # fmt: skip
    tier = asyncio.run(known.tier(deployment.address("CombinedAssurance")))
    node.close()
    assert tier is not None
    assert (tier.name, tier.vault) == ("Optimistic+Audited", made["combination"]["vault"])
    assert [part.fixed for part in tier.parts] == [bytes(32), (5000 << 63).to_bytes(32, "big")]


def test_unit_of_a_token_is_worth_a_gwei(
    script: ModuleType, srs: Srs, tmp_path: Path, site: Site
) -> None:
    chain, account = site
    token = chain.deploy("tests/contracts/harness/Token.sol").address
    before = chain.web3.eth.block_number
    assert script.unit_of(token, "3000") == 3000 * 10**9
    assert script.unit_of(token, "0.05") == 5 * 10**7
    with pytest.raises(script.DeployError, match="too coarse"):
        script.unit_of(token, "0.0000000009")
    wrong = [("", "3000"), (token, ""), (token, "many"), (token, "0"), (token, "-1")]
    wrong += [(token, "nan"), (token, "inf"), (chain.accounts[1], "3000"), ("0x12", "3000")]
    for named, price in wrong:
        with pytest.raises(script.DeployError, match="expected the address of an ERC-20"):
            script.unit_of(named, price)
    with pytest.raises(script.DeployError, match="expected the address of an ERC-20"):
        script.deploy(account, srs, tmp_path, token=token)
    assert chain.web3.eth.block_number == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("chain_id", "seats", "expected"),
    [
        (31337, 0, (3, 2)),
        (1, 0, (7, 5)),
        (1, 21, (21, 15)),
        (31337, 32, (32, 22)),
        (1, 64, (64, 43)),
    ],
)
def test_committee_more_than_two_thirds_must_agree(
    script: ModuleType, chain_id: int, seats: int, expected: tuple[int, int]
) -> None:
    made = script.committee_rules(chain_id, seats)
    assert (made["seats"], made["quorum"]) == expected


@pytest.mark.parametrize("chain_id", [1, 31337, 10, 42161])
def test_committees_window_takes_a_forced_inclusion_and_an_hour(
    script: ModuleType, chain_id: int
) -> None:
    """As every tier's: who dissents or refutes may have to force it in."""
    made = script.committee_rules(chain_id)
    assert made["window"] >= 3600 + script.parameters(chain_id)["inclusionDelay"]


@pytest.mark.parametrize(("hardfork", "bls"), [("osaka", True), ("cancun", False)])
def test_committee_that_a_chain_cannot_have_is_refused(
    script: ModuleType, srs: Srs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    hardfork: str, bls: bool,
) -> None:  # fmt: skip
    import ape

    monkeypatch.chdir(ROOT)
    with (
        Chain.start(hardfork=hardfork) as chain,
        ape.networks.parse_network_choice(chain.url),
    ):
        assert script.has_bls() is bls
        for members in (2, 65) if bls else (2, 24, 65):
            with pytest.raises(script.DeployError, match="expected a committee of 3 to"):
                script.deploy(ape.accounts.test_accounts[0], srs, tmp_path, members=members)
        assert chain.web3.eth.block_number == 0


@pytest.mark.parametrize(
    ("hardfork", "fake", "p256"),
    [("osaka", "", True), ("prague", "", False), ("prague", YES, False)],
)
def test_attesters_on_a_chain_without_p256_are_refused_before_anything_is_deployed(
    script: ModuleType, srs: Srs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    hardfork: str, fake: str, p256: bool,
) -> None:  # fmt: skip
    import ape

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(script, "compile_changed", lambda: pytest.fail("it went on"))
    with (
        Chain.start(hardfork=hardfork) as chain,
        ape.networks.parse_network_choice(chain.url),
    ):
        if fake:
            chain.rpc("anvil_setCode", script.P256, fake)
        assert script.has_p256() is p256
        account = ape.accounts.test_accounts[0]
        if not p256:
            with pytest.raises(script.DeployError, match="EIP-7951") as found:
                script.deploy(account, srs, tmp_path, [account.address])
            assert "chain 31337" in str(found.value) and "\n" not in str(found.value)
        with pytest.raises(pytest.fail.Exception, match="it went on"):
            script.deploy(account, srs, tmp_path, [account.address] * p256)
        assert chain.web3.eth.block_number == 0


def read(chain: Chain, to: str, name: str, argument: bytes = b"") -> bytes:
    data = keccak(name.encode())[:4] + argument
    return bytes(chain.web3.eth.call({"to": to, "data": "0x" + data.hex()}))


def padded(value: int) -> bytes:
    return value.to_bytes(32, "big")


@pytest.mark.parametrize(
    ("chain_id", "expected"),
    [(31337, (14_400, 86_400, 0)), (1, (14_400, 86_400, 0)), (10, (129_600, 129_600, 86_400))],
)
def test_parameters_of_a_chain_are_those_of_its_layer(
    script: ModuleType, chain_id: int, expected: tuple[int, int, int]
) -> None:
    made = script.parameters(chain_id)
    assert (made["window"], made["largeWindow"], made["inclusionDelay"]) == expected
    assert made["window"] >= 3600 + made["inclusionDelay"]


@pytest.mark.parametrize("nonce", [0, 1, 127, 128, 255, 256, 70_000])
def test_created_follows_the_accounts_nonce(script: ModuleType, nonce: int) -> None:
    from eth_utils.address import to_canonical_address
    from rlp import encode as rlp

    sender = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
    expected = keccak(rlp([to_canonical_address(sender), nonce]))[12:]
    assert bytes.fromhex(script.created(sender, nonce)[2:]) == expected


@pytest.mark.parametrize(
    ("chain_id", "beacon"), [("31337", "Dice"), ("5", "DevelopmentBeacon"), ("5", "Dice")]
)
def test_deploy_beacon_that_is_none_there_is_refused(
    script: ModuleType, srs: Srs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    chain_id: str, beacon: str,
) -> None:  # fmt: skip
    import ape

    monkeypatch.chdir(ROOT)
    trusted = srs if chain_id == "31337" else Ceremony(srs)
    with Chain.start("--chain-id", chain_id) as chain, ape.networks.parse_network_choice(chain.url):
        with pytest.raises(script.DeployError, match="as a beacon"):
            script.deploy(ape.accounts.test_accounts[0], trusted, tmp_path, beacon_name=beacon)
        assert chain.web3.eth.block_number == 0


class Ceremony:
    """An SRS that is no development one, for what comes before it is looked at."""

    development = False

    def __init__(self, srs: Srs) -> None:
        self.id = srs.id


@pytest.mark.slow
def test_deploy_development_srs_elsewhere_is_refused(
    script: ModuleType, srs: Srs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ape

    monkeypatch.chdir(ROOT)
    with Chain.start("--chain-id", "5") as chain, ape.networks.parse_network_choice(chain.url):
        with pytest.raises(script.DeployError, match="forgeable by anyone"):
            script.deploy(ape.accounts.test_accounts[0], srs, tmp_path)
        assert chain.web3.eth.block_number == 0
    assert list(tmp_path.iterdir()) == []
