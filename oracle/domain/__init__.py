"""Requests, claims, bonds and rules: pure values, no input or output."""
