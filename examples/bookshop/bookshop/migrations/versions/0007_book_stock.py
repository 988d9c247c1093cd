"""How many copies are there."""

import sqlalchemy as sa
from alembic import op

revision = "c50b38e6d79a"
down_revision = "1ae49d7b50f3"


def upgrade() -> None:
    with op.batch_alter_table("books") as batch:
        batch.add_column(sa.Column("stock", sa.Integer(), server_default="0", nullable=False))
        batch.create_check_constraint(op.f("ck_books_stock_not_negative"), "stock >= 0")


def downgrade() -> None:
    with op.batch_alter_table("books") as batch:
        batch.drop_constraint(op.f("ck_books_stock_not_negative"), type_="check")
        batch.drop_column("stock")
