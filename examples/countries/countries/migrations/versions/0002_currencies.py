"""Currencies."""

import sqlalchemy as sa
from alembic import op

revision = "b83e57c1096a"
down_revision = "6c1f0a94d2e7"


def upgrade() -> None:
    op.create_table(
        "currencies",
        sa.Column("alpha_3", sa.String(3), nullable=False),
        sa.Column("numeric", sa.String(3), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.PrimaryKeyConstraint("alpha_3", name=op.f("pk_currencies")),
    )


def downgrade() -> None:
    op.drop_table("currencies")
