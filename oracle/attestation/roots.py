"""The roots that are trusted unless a policy says otherwise: SHA-256 of each certificate in DER.

Compare them with what the makers publish before relying on them: Intel SGX Root CA (Intel's
provisioning certification service), ARK-Milan (AMD's key distribution service), aws.nitro-enclaves
(AWS documentation, "Verifying the root of trust"), NVIDIA Device Identity CA (NVIDIA's attestation
SDK). A TPM has no root here: who enrols machines names their own.
"""

from collections.abc import Mapping
from types import MappingProxyType

from oracle.attestation.evidence import Kind

INTEL = bytes.fromhex("44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3")
#: x and y of Intel's root key (P-256), which contracts/attested/Dcap.sol pins.
INTEL_KEY = bytes.fromhex(
    "0ba9c4c0c0c86193a3fe23d6b02cda10a8bbd4e88e48b4458561a36e705525f5"
    "67918e2edc88e40d860bd0cc4ee26aacc988e505a953558c453f6b0904ae7394"
)
AMD_MILAN = bytes.fromhex("69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd")
AWS_NITRO = bytes.fromhex("641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b")
NVIDIA = bytes.fromhex("102bf659d5419614c9d8e6aecebc80454eb26b1df6a769ac720b9a690b167b48")

ROOTS: Mapping[Kind, frozenset[bytes]] = MappingProxyType(
    {
        Kind.SGX: frozenset({INTEL}),
        Kind.TDX: frozenset({INTEL}),
        Kind.SNP: frozenset({AMD_MILAN}),
        Kind.NITRO: frozenset({AWS_NITRO}),
        Kind.NVIDIA: frozenset({NVIDIA}),
        Kind.TPM: frozenset(),
    }
)
