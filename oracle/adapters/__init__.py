"""The ports over real things: a node, a database, a key file, a prover process, folders."""
