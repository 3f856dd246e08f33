"""The service: requests from a chain, answers with proofs."""
