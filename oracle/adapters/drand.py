"""Signatures of drand's rounds over HTTP, as the beacons' contracts take them.

Any relay will do: the contracts check every signature, so a relay can withhold one and no more.
"""

import json
import urllib.request
from collections.abc import Mapping

from oracle.adapters.fetch import Source
from oracle.domain.chain import Round
from oracle.domain.errors import BeaconUnavailable

#: Contract -> drand's name of its network.
NETWORKS: Mapping[str, str] = {
    "DrandEvmnet": "04f1e9062b8a81f848fded9c12306733282b2727ecced50032187751166ec8c3",
    "DrandQuicknet": "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971",
}
LARGEST = 1 << 16
#: BLS12-381's base field; coordinates of EIP-2537 are padded to 64 bytes.
Q = int(
    "1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf"
    "6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab",
    16,
)
FLAGS, COORDINATE, COMPRESSED = 0xE0, 64, 48


class DrandRounds:
    """`beacons`: contract names by address; `url`: a relay."""

    def __init__(self, url: str, beacons: Mapping[str, str]) -> None:
        self._url = url.rstrip("/")
        self._beacons = beacons
        self._relay = Source()

    async def signature(self, round: Round) -> bytes:
        if round.development:
            return b""
        name = self._beacons.get(round.beacon, "")
        if name not in NETWORKS:
            raise BeaconUnavailable(f"{round.beacon} is no beacon of this deployment")
        signature = await self._fetch(NETWORKS[name], round.round)
        return signature if name == "DrandEvmnet" else decompressed(signature)

    async def _fetch(self, network: str, round: int) -> bytes:
        url = f"{self._url}/{network}/public/{round}"
        try:
            found = json.loads(await self._relay.fetch(urllib.request.Request(url), LARGEST))
            if found["round"] != round:
                raise ValueError(f"expected round {round}, got {found['round']}")
            return bytes.fromhex(found["signature"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise BeaconUnavailable(f"{url} gives no signature: {error!r}") from error


def decompressed(signature: bytes) -> bytes:
    """A point of G1 of BLS12-381 in 48 bytes (x, with flags for "compressed", infinity and the
    larger y) as EIP-2537 has it: x y, 64 bytes each. Raises BeaconUnavailable if it is none."""
    if len(signature) != COMPRESSED or signature[0] & 0xC0 != 0x80:
        raise BeaconUnavailable(f"expected a compressed point, got 0x{signature.hex()}")
    x = int.from_bytes(bytes([signature[0] & ~FLAGS]) + signature[1:], "big")
    square = (x**3 + 4) % Q
    y = pow(square, (Q + 1) // 4, Q)  # q = 3 mod 4
    if x >= Q or y * y % Q != square:
        raise BeaconUnavailable(f"no point has the x of 0x{signature.hex()}")
    larger = bool(signature[0] & 0x20)
    if (y > (Q - 1) // 2) is not larger:
        y = Q - y
    return x.to_bytes(COORDINATE, "big") + y.to_bytes(COORDINATE, "big")
