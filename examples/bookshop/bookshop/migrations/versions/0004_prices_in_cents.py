"""Prices as whole cents: one UPDATE moves them, then the old column goes."""

import sqlalchemy as sa
from alembic import op

revision = "f2c6904e8b1d"
down_revision = "07e8b2d4af61"

books = sa.table("books", sa.column("price", sa.Numeric(10, 2)), sa.column("price_cents", sa.Integer()))


def upgrade() -> None:
    op.add_column("books", sa.Column("price_cents", sa.Integer()))
    op.execute(books.update().values(price_cents=sa.cast(sa.func.round(books.c.price * 100), sa.Integer())))
    with op.batch_alter_table("books") as batch:
        batch.alter_column("price_cents", existing_type=sa.Integer(), nullable=False)
        batch.create_check_constraint(op.f("ck_books_price_not_negative"), "price_cents >= 0")
        batch.drop_column("price")


def downgrade() -> None:
    op.add_column("books", sa.Column("price", sa.Numeric(10, 2)))
    op.execute(books.update().values(price=books.c.price_cents / sa.literal_column("100.0")))
    with op.batch_alter_table("books") as batch:
        batch.alter_column("price", existing_type=sa.Numeric(10, 2), nullable=False)
        batch.drop_constraint(op.f("ck_books_price_not_negative"), type_="check")
        batch.drop_column("price_cents")
