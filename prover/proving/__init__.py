"""The prover's halves of the relations: everything here may use numpy and kernels; nothing here is
imported by verify.py."""
