"""Eight elements as one value: how many, and in how many limbs of how many bits."""

BITS, LIMBS, WIDTH = 52, 5, 8
