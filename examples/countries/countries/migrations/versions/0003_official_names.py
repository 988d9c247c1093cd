"""The official names of countries. The column starts empty; the hook that runs after every sync fills it."""

import sqlalchemy as sa
from alembic import op

revision = "2f7ad49b6c35"
down_revision = "b83e57c1096a"


def upgrade() -> None:
    op.add_column("countries", sa.Column("official_name", sa.String(255)))


def downgrade() -> None:
    op.drop_column("countries", "official_name")
