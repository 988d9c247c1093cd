"""Customers."""

import sqlalchemy as sa
from alembic import op

revision = "d95a3c06e1f4"
down_revision = "4b1e7f20c9d8"


def upgrade() -> None:
    op.create_table(
        "customers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("country_code", sa.String(2), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customers")),
        sa.UniqueConstraint("email", name=op.f("uq_customers_email")),
        sa.ForeignKeyConstraint(
            ["country_code"], ["countries.alpha_2"], name=op.f("fk_customers_country_code_countries")
        ),
    )


def downgrade() -> None:
    op.drop_table("customers")
