"""deployments/<chain id>.json: which contracts there are on a chain, and since which block."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_utils.address import is_address, to_checksum_address

from oracle.domain.errors import SettingsInvalid
from oracle.domain.request import TierKind
from oracle.toolchain import ROOT

FOLDER = ROOT / "deployments"
PROOF, OPTIMISTIC, COMMITTEE = "ProofAssurance", "OptimisticAssurance", "CommitteeAssurance"

BLS_COMMITTEE = "BlsCommitteeAssurance"
BISECTION = "BisectionAssurance"
AUDITED, GUARD = "AuditedAssurance", "GuardedVerifier"
BEACONS = ("DevelopmentBeacon", "DrandEvmnet", "DrandQuicknet")
VAULT, TOKEN_VAULT = "StakeVault", "TokenVault"
BOUNTY = "Bounty"
ATTESTED, ATTESTATIONS = "AttestedAssurance", "AttestationRegistry"
COMBINED = "CombinedAssurance"
#: What kind of tier a contract is.
KINDS = {
    PROOF: TierKind.PROOF,
    OPTIMISTIC: TierKind.OPTIMISTIC,
    ATTESTED: TierKind.ATTESTED,
    COMMITTEE: TierKind.COMMITTEE,
    BLS_COMMITTEE: TierKind.COMMITTEE,
    AUDITED: TierKind.AUDITED,
    BISECTION: TierKind.BISECTION,
    COMBINED: TierKind.COMBINED,
}


@dataclass(frozen=True)
class Deployment:
    """Addresses by contract name; `block` is where the first of them was created; `canary` is what
    the verifier's guard must never see proved: model id, input, output. `combination`: its parts,
    likewise by name, which are tiers of their own for nobody else."""

    chain_id: int
    block: int
    contracts: Mapping[str, str]
    canary: tuple[bytes, bytes, bytes] | None = None
    combination: Mapping[str, str] = field(default_factory=dict)

    @property
    def tiers(self) -> dict[str, TierKind]:
        """The deployed tiers, by address. Raises SettingsInvalid if there is not even proof."""
        proof = {self.address(PROOF): TierKind.PROOF}
        return proof | _kinds(self.contracts)

    @property
    def parts(self) -> dict[str, TierKind]:
        """The tiers that the deployed combination puts together, by address, in their order."""
        return _kinds(self.combination)

    @property
    def combined(self) -> str:
        """The combination's name, which comes from its parts: audited+attested."""
        return "+".join(kind.value.lower() for kind in self.parts.values())

    @property
    def beacons(self) -> dict[str, str]:
        """The deployed beacons' names, by address."""
        return {self.contracts[name]: name for name in BEACONS if name in self.contracts}

    @property
    def vault(self) -> str:
        """Where stakes lie, in ether or in a token."""
        return self.address(TOKEN_VAULT if TOKEN_VAULT in self.contracts else VAULT)

    def address(self, name: str) -> str:
        """Raises SettingsInvalid if the deployment has no such contract."""
        if name not in self.contracts:
            raise SettingsInvalid(
                f"the deployment on chain {self.chain_id} has no {name}: run einproof deploy"
            )
        return self.contracts[name]


def read_deployment(chain_id: int, path: Path | None = None) -> Deployment:
    """Reads a chain's file. Raises SettingsInvalid if there is none, or it is not one."""
    path = path or FOLDER / f"{chain_id}.json"
    try:
        found = json.loads(path.read_text())
        contracts = {name: _address(entry) for name, entry in found["contracts"].items()}
        told = found.get("canary")
        names = ("model_id", "input", "output")
        canary = tuple(bytes.fromhex(told[name][2:]) for name in names) if told else None
        combined = found.get("combination", {}).get("parts", [])
        parts = {part["name"]: _address(part) for part in combined}
        named = (int(found["chain_id"]), int(found["block"]))
        deployed = Deployment(*named, contracts, canary, parts)
    except FileNotFoundError:
        raise SettingsInvalid(
            f"nothing is deployed on chain {chain_id} as far as {path} goes: run einproof deploy"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsInvalid(
            f"{path} is no deployment file ({error!r}): run einproof deploy"
        ) from error
    if deployed.chain_id != chain_id:
        raise SettingsInvalid(
            f"{path} is of chain {deployed.chain_id}, the node is on chain {chain_id}"
        )
    return deployed


def _kinds(contracts: Mapping[str, str]) -> dict[str, TierKind]:
    return {at: KINDS[name] for name, at in contracts.items() if name in KINDS}


def _address(entry: Any) -> str:
    text = entry["address"] if isinstance(entry, dict) else entry
    if not is_address(text):
        raise ValueError(f"expected an address, got {text!r}")
    return to_checksum_address(text)
