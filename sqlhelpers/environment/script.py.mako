<%!
    def literal(value):
        return repr(value).replace("'", '"')

    def documented(message):
        return message.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
%>\
<%
    plain, listed = [], ["from alembic import op"]
    for line in (imports or "").splitlines():
        (plain if line.startswith("import ") else listed).append(line)
    body = f"{upgrades or ''}{downgrades or ''}"
    unused = "" if body else "  # noqa: F401"
    if "sa." in body or not body:
        plain.append("import sqlalchemy as sa" + unused)
    listed[0] += unused
    heading = "\n".join([*sorted(plain), *sorted(listed)])
%>\
"""${message | documented,n}

Revision ID: ${up_revision}
Revises: ${comma(down_revision) or '-'}
Create Date: ${create_date}
"""

${heading}

revision: str = ${literal(up_revision)}
down_revision: str | tuple[str, ...] | None = ${literal(down_revision)}
branch_labels: str | tuple[str, ...] | None = ${literal(branch_labels)}
depends_on: str | tuple[str, ...] | None = ${literal(tuple(depends_on) if isinstance(depends_on, list) else depends_on)}


def upgrade() -> None:
    """Go from the revision before to this one."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Go back to the revision before."""
    ${downgrades if downgrades else "pass"}
