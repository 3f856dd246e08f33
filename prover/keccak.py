"""keccak256.

By pysha3, the fastest that eth-hash knows: left to choose, it imports another library with a parser
of C, for a twentieth of a second.
"""

from eth_hash.backends import pysha3
from eth_hash.main import Keccak256

keccak = Keccak256(pysha3.backend)
