<%! from sqlhelpers.environment import documented, heading, literal %>\
"""${message | documented,n}

Revision ID: ${up_revision}
Revises: ${comma(down_revision) or '-'}
Create Date: ${create_date}
"""

${heading(imports or "", upgrades or "", downgrades or "")}

revision: str = ${literal(up_revision)}
down_revision: str | tuple[str, ...] | None = ${literal(down_revision)}
branch_labels: str | tuple[str, ...] | None = ${literal(branch_labels)}
depends_on: str | tuple[str, ...] | None = ${literal(depends_on)}


def upgrade() -> None:
    """Go from the revision before to this one."""
    ${upgrades or "pass"}


def downgrade() -> None:
    """Go back to the revision before."""
    ${downgrades or "pass"}
