"""The service's tables: what is searched as columns, the rest as JSON in `body`."""

import sqlalchemy as sa

metadata = sa.MetaData()
meta = sa.Table(
    "meta",
    metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("value", sa.String(128), nullable=False),
)
jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.LargeBinary(32), unique=True, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("not_before", sa.BigInteger, nullable=False),
    sa.Column("lease_until", sa.BigInteger),
    sa.Column("deadline", sa.BigInteger, nullable=False),
    sa.Column("seen", sa.BigInteger),
    sa.Column("closed", sa.BigInteger),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("jobs_by_state", "state", "seq"),
    sa.Index("jobs_by_seen", "seen"),
    sa.Index("jobs_by_closed", "closed"),
)
checkpoints = sa.Table(
    "checkpoints",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.LargeBinary(32), nullable=False),
)
transactions = sa.Table(
    "transactions",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("hash", sa.LargeBinary(32), unique=True, nullable=False),
    sa.Column("sender", sa.String(42), nullable=False),
    sa.Column("nonce", sa.BigInteger, nullable=False),
    sa.Column("done", sa.Boolean, nullable=False),
    sa.Column("mined", sa.BigInteger),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("transactions_by_nonce", "sender", "nonce"),
    sa.Index("transactions_flying", "sender", "done"),
    sa.Index("transactions_by_block", "mined"),
)
writers = sa.Table(
    "writers",
    metadata,
    sa.Column("sender", sa.String(42), primary_key=True),
    sa.Column("holder", sa.String(128), nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False),
)
