"""Split a customer's name at its last space, a thousand customers at a time.

On SQLite the last step drops and rebuilds `customers`, to whose rows those of `orders` are tied by ON DELETE CASCADE.
"""

import sqlalchemy as sa
from alembic import op

revision = "83d1f5a7c024"
down_revision = "f2c6904e8b1d"

customers = sa.table(
    "customers",
    sa.column("id", sa.Integer()),
    sa.column("name", sa.String(200)),
    sa.column("given_name", sa.String(200)),
    sa.column("family_name", sa.String(200)),
)


def upgrade() -> None:
    op.add_column("customers", sa.Column("given_name", sa.String(200)))
    op.add_column("customers", sa.Column("family_name", sa.String(200)))
    split_names(op.get_bind())
    with op.batch_alter_table("customers") as batch:
        batch.alter_column("given_name", existing_type=sa.String(200), nullable=False)
        batch.alter_column("family_name", existing_type=sa.String(200), nullable=False)
        batch.drop_column("name")


def split_names(connection: sa.Connection) -> None:
    by_id = customers.update().where(customers.c.id == sa.bindparam("key"))
    chunk = sa.select(customers.c.id, customers.c.name).order_by(customers.c.id).limit(1000)
    rows = connection.execute(chunk).all()
    while rows:
        connection.execute(by_id, [{"key": row.id, **_parts(row.name)} for row in rows])
        rows = connection.execute(chunk.where(customers.c.id > rows[-1].id)).all()


def _parts(name: str) -> dict[str, str]:
    given, _, family = name.strip().rpartition(" ")
    return {"given_name": given.strip(), "family_name": family}


def downgrade() -> None:
    op.add_column("customers", sa.Column("name", sa.String(200)))
    full_name = sa.func.trim(customers.c.given_name + " " + customers.c.family_name)
    op.execute(customers.update().values(name=full_name))
    with op.batch_alter_table("customers") as batch:
        batch.alter_column("name", existing_type=sa.String(200), nullable=False)
        batch.drop_column("family_name")
        batch.drop_column("given_name")
