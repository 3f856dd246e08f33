"""The service's tables: what is searched as columns, the rest as JSON in `body`. Each role sees its
own rows only."""

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
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("id", sa.LargeBinary(32), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("not_before", sa.BigInteger, nullable=False),
    sa.Column("ripe_at", sa.BigInteger, nullable=False),
    sa.Column("urgency", sa.BigInteger, nullable=False),
    sa.Column("lease_until", sa.BigInteger),
    sa.Column("answer_by", sa.BigInteger),
    sa.Column("newest", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.UniqueConstraint("role", "id"),
    sa.Index("jobs_by_state", "role", "state", "seq"),
    sa.Index("jobs_by_newest", "role", "newest"),
)
checkpoints = sa.Table(
    "checkpoints",
    metadata,
    sa.Column("role", sa.String(16), primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.LargeBinary(32), nullable=False),
)
transactions = sa.Table(
    "transactions",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("hash", sa.LargeBinary(32), nullable=False),
    sa.Column("sender", sa.String(42), nullable=False),
    sa.Column("nonce", sa.BigInteger, nullable=False),
    sa.Column("done", sa.Boolean, nullable=False),
    sa.Column("mined", sa.BigInteger),
    sa.Column("signed_at", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.UniqueConstraint("role", "hash"),
    sa.Index("transactions_by_nonce", "sender", "nonce"),
    sa.Index("transactions_flying", "sender", "done"),
    sa.Index("transactions_by_block", "role", "mined"),
    sa.Index("transactions_by_time", "sender", "signed_at"),
)
writers = sa.Table(
    "writers",
    metadata,
    sa.Column("sender", sa.String(42), primary_key=True),
    sa.Column("holder", sa.String(128), nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False),
)
