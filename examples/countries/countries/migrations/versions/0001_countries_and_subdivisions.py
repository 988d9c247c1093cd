"""Countries and subdivisions."""

import sqlalchemy as sa
from alembic import op

revision = "6c1f0a94d2e7"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "countries",
        sa.Column("alpha_2", sa.String(2), nullable=False),
        sa.Column("alpha_3", sa.String(3), nullable=False),
        sa.Column("numeric", sa.String(3), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("flag", sa.String(2), nullable=False),
        sa.PrimaryKeyConstraint("alpha_2", name=op.f("pk_countries")),
    )
    op.create_table(
        "subdivisions",
        sa.Column("code", sa.String(6), nullable=False),
        sa.Column("country_code", sa.String(2), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(100), nullable=False),
        sa.Column("parent_code", sa.String(6)),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_subdivisions")),
        sa.ForeignKeyConstraint(
            ["country_code"], ["countries.alpha_2"], name=op.f("fk_subdivisions_country_code_countries")
        ),
        sa.ForeignKeyConstraint(
            ["parent_code"], ["subdivisions.code"], name=op.f("fk_subdivisions_parent_code_subdivisions")
        ),
    )
    op.create_index(op.f("ix_subdivisions_country_code"), "subdivisions", ["country_code"])
    op.create_index(op.f("ix_subdivisions_parent_code"), "subdivisions", ["parent_code"])


def downgrade() -> None:
    op.drop_table("subdivisions")
    op.drop_table("countries")
