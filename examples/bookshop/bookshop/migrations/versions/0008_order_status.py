"""The status of an order. What was ordered before is taken for sent.

On SQLite `orders` is dropped and rebuilt; the rows of `order_lines` are tied to it by ON DELETE CASCADE.
"""

import sqlalchemy as sa
from alembic import op

revision = "9e27c14fb8d6"
down_revision = "c50b38e6d79a"

orders = sa.table("orders", sa.column("status", sa.String(20)))


def upgrade() -> None:
    with op.batch_alter_table("orders") as batch:
        batch.add_column(sa.Column("status", sa.String(20), server_default="open", nullable=False))
        batch.create_check_constraint(op.f("ck_orders_status_known"), "status IN ('open', 'paid', 'sent')")
    op.execute(orders.update().values(status="sent"))


def downgrade() -> None:
    with op.batch_alter_table("orders") as batch:
        batch.drop_constraint(op.f("ck_orders_status_known"), type_="check")
        batch.drop_column("status")
