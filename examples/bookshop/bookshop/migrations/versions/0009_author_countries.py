"""The country of an author, where it is known."""

import sqlalchemy as sa
from alembic import op

revision = "5d08f6a3e9b2"
down_revision = "9e27c14fb8d6"


def upgrade() -> None:
    with op.batch_alter_table("authors") as batch:
        batch.add_column(sa.Column("country_code", sa.String(2)))
        batch.create_foreign_key(op.f("fk_authors_country_code_countries"), "countries", ["country_code"], ["alpha_2"])


def downgrade() -> None:
    with op.batch_alter_table("authors") as batch:
        batch.drop_constraint(op.f("fk_authors_country_code_countries"), type_="foreignkey")
        batch.drop_column("country_code")
