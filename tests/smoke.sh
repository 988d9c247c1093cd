#!/usr/bin/env bash
# A user's first minute with the programs in the folder $1, which has sqlhelpers and its core dependencies alone.
set -euo pipefail
bin=$1

"$bin/sqlhelpers" --version
"$bin/sqlhelpers" --help >/dev/null
"$bin/sqlhelpers" config
mkdir -p migrations/versions
cat >migrations/versions/first.py <<'END'
import sqlalchemy as sa
from alembic import op

revision = "f1"
down_revision = None


def upgrade():
    op.create_table("note", sa.Column("id", sa.Integer, primary_key=True))
END
export SQLHELPERS_DATABASES__DEFAULT__ALEMBIC__MIGRATIONS_PATH=migrations
"$bin/sqlhelpers" run-sync
"$bin/python" -m sqlhelpers run-sync
"$bin/sqlhelpers" status --check
