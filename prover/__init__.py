"""Tensors in, proof bytes out; knows no chain."""
