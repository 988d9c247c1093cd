"""An index on titles, which PostgreSQL builds while the shop goes on writing."""

from alembic import op

revision = "1ae49d7b50f3"
down_revision = "83d1f5a7c024"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(op.f("ix_books_title"), "books", ["title"], postgresql_concurrently=True)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index(op.f("ix_books_title"), "books", postgresql_concurrently=True)
