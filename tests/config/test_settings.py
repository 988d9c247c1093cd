"""``sqlhelpers.config.settings`` and ``sources``: what may be set, where, and what is said of mistakes."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from pydantic import BaseModel
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from sqlhelpers import DatabaseSettings, Settings
from sqlhelpers.exceptions import SettingsError

SECRET = "hunter22-and-more"
URL = f"postgresql://user:{SECRET}@host/db"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty working directory, and no variable of ours in the environment."""
    for name in [name for name in os.environ if name.startswith("SQLHELPERS_") or name == "DATABASE_URL"]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def url_of(settings: Settings, bind: str = "default") -> str:
    return settings.databases[bind].sqlalchemy.url.get_secret_value()


def origin_of(settings: Settings, name: str) -> str:
    return {name: origin for name, _, origin in settings.origins()}[name]


def test_a_database_can_be_written_as_its_url(folder):
    """A text is short for a table with the URL."""
    (folder / "pyproject.toml").write_text('[tool.sqlhelpers.databases]\ndefault = "sqlite:///x.db"\n')

    assert url_of(Settings()) == "sqlite:///x.db"


def test_sources_in_their_order(folder, monkeypatch):
    """Arguments win over the environment, that over .env, that over secrets, that over pyproject.toml."""
    name = "SQLHELPERS_DATABASES__DEFAULT"
    (folder / "pyproject.toml").write_text('[tool.sqlhelpers.databases]\ndefault = "sqlite:///pyproject.db"\n')
    seen = [url_of(Settings())]
    (folder / "secrets").mkdir()
    (folder / "secrets" / name.lower()).write_text("sqlite:///secrets.db\n")
    monkeypatch.setenv("SQLHELPERS_SECRETS_DIR", "secrets")
    seen.append(url_of(Settings()))
    (folder / ".env").write_text(f"{name}=sqlite:///dotenv.db\n")
    seen.append(url_of(Settings()))
    monkeypatch.setenv(name, "sqlite:///environment.db")
    seen.append(url_of(Settings()))
    seen.append(url_of(Settings(databases={"default": "sqlite:///argument.db"})))

    assert seen == [
        f"sqlite:///{source}.db" for source in ("pyproject", "secrets", "dotenv", "environment", "argument")
    ]


def test_layers_are_merged_setting_by_setting(folder, monkeypatch):
    """A pool size from the environment leaves the URL of pyproject.toml alone, though that is written as a text."""
    (folder / "pyproject.toml").write_text('[tool.sqlhelpers.databases]\ndefault = "sqlite:///x.db"\n')
    monkeypatch.setenv("SQLHELPERS_DATABASES__DEFAULT__SQLALCHEMY__POOL_SIZE", "7")

    settings = Settings()

    assert url_of(settings) == "sqlite:///x.db"
    assert settings.databases["default"].sqlalchemy.pool_size == 7


def test_a_url_and_its_options_in_the_environment(monkeypatch):
    """The short form and the long form of one database can stand side by side."""
    monkeypatch.setenv("SQLHELPERS_DATABASES__DEFAULT", "sqlite:///x.db")
    monkeypatch.setenv("SQLHELPERS_DATABASES__DEFAULT__SQLALCHEMY__ECHO", "true")

    settings = Settings()

    assert url_of(settings) == "sqlite:///x.db"
    assert settings.databases["default"].sqlalchemy.engine_options() == {"echo": True}


def test_json_in_a_variable(monkeypatch):
    """A whole table can be given as JSON."""
    monkeypatch.setenv(
        "SQLHELPERS_DATABASES", '{"default": "sqlite:///a.db", "two": {"sqlalchemy": {"url": "sqlite://"}}}'
    )

    assert set(Settings().databases) == {"default", "two"}


def test_variables_in_any_case(monkeypatch):
    """The one that names more of the path wins, however they are written."""
    monkeypatch.setenv("SQLHELPERS_DATABASES__TWO", "sqlite:///exact.db")
    monkeypatch.setenv("sqlhelpers_databases", '{"default": "sqlite:///a.db", "two": "sqlite:///b.db"}')

    assert [url_of(Settings(), bind) for bind in ("default", "two")] == ["sqlite:///a.db", "sqlite:///exact.db"]


def test_a_value_within_a_plain_value(monkeypatch):
    """It is an error that names the variable."""
    monkeypatch.setenv("SQLHELPERS_ADAPTER", "fastapi")
    monkeypatch.setenv("SQLHELPERS_ADAPTER__NAME", "flask")

    with pytest.raises(SettingsError, match="SQLHELPERS_ADAPTER__NAME goes into a setting that has a plain value"):
        Settings()


def test_database_url_stands_in_for_the_default_database(folder, monkeypatch):
    """DATABASE_URL is a variable like any other, so it wins over a file; our own name wins over it."""
    (folder / "pyproject.toml").write_text('[tool.sqlhelpers.databases]\ndefault = "sqlite:///x.db"\n')
    monkeypatch.setenv("DATABASE_URL", "sqlite:///heroku.db")
    with_fallback = Settings()
    monkeypatch.setenv("SQLHELPERS_DATABASES__DEFAULT", "sqlite:///ours.db")

    assert url_of(with_fallback) == "sqlite:///heroku.db"
    assert origin_of(with_fallback, "databases.default.sqlalchemy.url") == "DATABASE_URL"
    assert url_of(Settings()) == "sqlite:///ours.db"


def test_pyproject_is_found_upwards_and_its_paths_are_its_own(folder, monkeypatch):
    """From a subfolder, relative paths still mean what they mean beside the file."""
    (folder / "pyproject.toml").write_text(
        '[tool.sqlhelpers.databases.default.sqlalchemy]\nurl = "sqlite:///x.db"\n'
        '[tool.sqlhelpers.databases.default.alembic]\nmigrations_path = "migrations"\n'
        '[tool.sqlhelpers.databases.other]\npooler = "transaction"\n'
        '[tool.sqlhelpers]\nsecrets_dir = "secrets"\n'
        '[tool.sqlhelpers.apps]\nshop = {migrations = "history"}\nnotes = {migrations = "elsewhere"}\n',
    )
    (folder / "history").mkdir()
    (folder / ".env").write_text("SQLHELPERS_ADAPTER=fastapi\n")
    (folder / "secrets").mkdir()
    (folder / "secrets" / "sqlhelpers_databases__other").write_text("sqlite:///y.db")
    (folder / "below" / "deeper").mkdir(parents=True)
    monkeypatch.chdir(folder / "below" / "deeper")

    settings = Settings()

    assert url_of(settings) == f"sqlite:///{folder}/x.db"
    assert settings.databases["default"].alembic.migrations_path == folder / "migrations"
    assert settings.adapter == "fastapi"
    assert str(settings.apps["shop"].migrations) == f"{folder}/history"
    assert str(settings.apps["notes"].migrations) == "elsewhere"
    assert settings.databases["other"].pooler == "transaction"
    assert origin_of(settings, "databases.other.sqlalchemy.url").endswith(f"in {folder / 'secrets'}")


def test_a_pyproject_of_somebody_else_is_passed_by(folder, monkeypatch):
    """The nearest pyproject.toml that speaks of sqlhelpers counts."""
    (folder / "pyproject.toml").write_text('[tool.sqlhelpers.databases]\ndefault = "sqlite:////x.db"\n')
    (folder / "below").mkdir()
    (folder / "below" / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    monkeypatch.chdir(folder / "below")

    assert url_of(Settings()) == "sqlite:////x.db"


@pytest.mark.parametrize(
    ("variables", "named", "near"),
    [
        ({"SQLHELPERS_DATABSES__DEFAULT": "sqlite://"}, "SQLHELPERS_DATABSES__DEFAULT", "databases"),
        (
            {"SQLHELPERS_DATABASES__DEFAULT__SQLALCHMY__URL": "x"},
            "SQLHELPERS_DATABASES__DEFAULT__SQLALCHMY__URL",
            "sqlalchemy",
        ),
        (
            {"DATABASE_URL": "sqlite://", "SQLHELPERS_DATABASES__DEFAULT__SQLALCHEMY__POOL_SZE": "1"},
            "SQLHELPERS_DATABASES__DEFAULT__SQLALCHEMY__POOL_SZE",
            "pool_size",
        ),
        ({"SQLHELPERS_ADAPTR": "x"}, "SQLHELPERS_ADAPTR", "adapter"),
    ],
)
def test_a_misspelt_variable_is_named_with_the_near_name(monkeypatch, variables, named, near):
    """A typo in a variable is an error, not silence."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as caught:
        Settings()

    assert any(named in line and f"did you mean {near}?" in line for line in caught.value.lines)


@pytest.mark.parametrize("source", ["pyproject", "dotenv", "secrets", "argument"])
def test_a_misspelt_key_is_named_in_every_source(folder, source):
    """Each source says where its mistake stands."""
    values: dict[str, object] = {}
    if source == "pyproject":
        (folder / "pyproject.toml").write_text('[tool.sqlhelpers.databases.default]\nsqlalchmy = {url = "sqlite://"}\n')
    elif source == "dotenv":
        (folder / ".env").write_text("SQLHELPERS_DATABASES__DEFAULT__SQLALCHMY__URL=sqlite://\n")
    elif source == "secrets":
        (folder / "s").mkdir()
        (folder / "s" / "sqlhelpers_databases__default__sqlalchmy__url").write_text("sqlite://")
        values["secrets_dir"] = folder / "s"
    else:
        values["databases"] = {"default": {"sqlalchmy": {"url": "sqlite://"}}}
    where = {"pyproject": "pyproject.toml", "dotenv": ".env", "secrets": f"in {folder / 's'}", "argument": "argument"}

    with pytest.raises(SettingsError) as caught:
        Settings(**values)

    assert any("did you mean sqlalchemy?" in line and where[source] in line for line in caught.value.lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[tool.sqlhelpers\n", "not valid TOML"),
        ("[tool.sqlhelpers]\ndatabases = 3\n", "databases"),
        ("[tool]\nsqlhelpers = 'tool.sqlhelpers'\n", "is not a table"),
        ("tool = 'tool.sqlhelpers'\n", "is not a table"),
        ('[tool.sqlhelpers.databases]\ndefault = "nonsense"\n', "not a database URL"),
        ("[tool.sqlhelpers.databases.default.sqlalchemy]\npool_size = 3\n", "url: it is missing"),
        ('[tool.sqlhelpers.databases.default.sqlalchemy]\nurl = "sqlite://"\npool_size = "x"\n', "pool_size"),
        ('[tool.sqlhelpers.databases.default]\npooler = "session"\nsqlalchemy.url = "sqlite://"\n', "pooler"),
    ],
)
def test_wrong_values_in_pyproject_are_named_with_the_file(folder, text, expected):
    """Type errors, missing values and broken files are told in one line with their place."""
    (folder / "pyproject.toml").write_text(text)

    with pytest.raises(SettingsError) as caught:
        Settings()

    assert any(expected in line and "pyproject.toml" in line for line in caught.value.lines), caught.value.lines
    assert "\n" not in str(caught.value)


def test_broken_json_in_a_variable_is_named(monkeypatch):
    """A variable that begins like JSON has to be JSON."""
    monkeypatch.setenv("SQLHELPERS_DATABASES", '{"default": ')

    with pytest.raises(SettingsError, match="SQLHELPERS_DATABASES is not valid JSON"):
        Settings()


def test_a_missing_secrets_directory_is_an_error():
    """A folder that was named has to be there."""
    with pytest.raises(SettingsError, match="nowhere is not a folder"):
        Settings(secrets_dir="nowhere")


def test_files_that_cannot_be_read(folder, monkeypatch):
    """They are not passed by: nobody knows what they say."""
    (folder / "secrets").mkdir()
    (folder / "secrets" / "database_url").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match=r"a secret in \S+ cannot be read"):
        Settings(secrets_dir=folder / "secrets")

    def refuse(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    (folder / "pyproject.toml").touch()
    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(SettingsError, match=r"pyproject\.toml cannot be read: Permission denied"):
        Settings()


def test_no_password_is_shown(monkeypatch):
    """Neither repr, vars, dumps, origins nor errors show the password of a URL."""
    monkeypatch.setenv("DATABASE_URL", URL)
    settings = Settings()
    database = settings.databases["default"]
    shown = [
        repr(settings), str(settings), repr(vars(settings)), settings.model_dump_json(), repr(settings.model_dump()),
        repr(database), repr(database.sqlalchemy), str(list(settings.origins())), repr(settings._layers),
    ]  # fmt: skip
    monkeypatch.setenv("DATABASE_URL", URL.replace("postgresql://", "postgresql:/"))
    with pytest.raises(SettingsError) as caught:
        Settings()

    assert SECRET not in "".join([*shown, repr(caught.value), str(caught.value)])
    assert caught.value.__cause__ is None
    assert SECRET in str(database.url.password)


def test_secrets_in_connect_args_are_not_shown(monkeypatch):
    """What a driver is called with may be secret, whatever its name."""
    arguments = f'{{"dsn": "postgresql://u:{SECRET}@h/d", "api": "{SECRET}"}}'
    monkeypatch.setenv("DATABASE_URL", "postgresql://h/d")
    monkeypatch.setenv("SQLHELPERS_DATABASES__DEFAULT__SQLALCHEMY__CONNECT_ARGS", arguments)

    settings = Settings()

    assert SECRET not in str(list(settings.origins())) + repr(settings)


def test_origins_tell_every_value(folder, monkeypatch):
    """``sqlhelpers config`` has its rows from here: name, value without secrets, place."""
    (folder / "pyproject.toml").write_text('[tool.sqlhelpers]\nadapter = "fastapi"\n')
    monkeypatch.setenv("DATABASE_URL", URL)

    rows = {name: (value, origin) for name, value, origin in Settings().origins()}

    assert rows["databases.default.sqlalchemy.url"] == ("postgresql://user:***@host/db", "DATABASE_URL")
    assert rows["adapter"] == ("fastapi", f"tool.sqlhelpers.adapter in {folder / 'pyproject.toml'}")
    assert rows["databases.default.alembic.version_table"] == ("alembic_version", "default")


def test_the_callers_mappings_are_not_changed():
    """What is passed in is copied."""
    options = {"url": "sqlite://", "connect_args": {"timeout": 3}}
    values = {"databases": {"default": {"sqlalchemy": options}, "two": "sqlite://"}}
    before = pickle.dumps(values)

    settings = Settings(**values)
    settings.databases["default"].sqlalchemy.engine_options()["connect_args"]["timeout"] = 4

    assert pickle.dumps(values) == before
    assert settings.databases["default"].sqlalchemy.connect_args == {"timeout": 3}


def test_names_can_be_one_text_with_commas(monkeypatch):
    """Lists are easy to write in a variable."""
    monkeypatch.setenv("SQLHELPERS_DISABLE_PLUGINS", "one, two,")

    assert Settings().disable_plugins == ("one", "two")


def test_embedded_in_settings_of_the_users_own():
    """``DatabaseSettings`` is an ordinary model, and takes a text, a URL object, or a table."""

    class Mine(BaseModel):
        database: DatabaseSettings

    texts = [
        Mine(database=value).database.url for value in (URL, make_url(URL), {"sqlalchemy": {"url": make_url(URL)}})
    ]

    assert [url.password for url in texts] == [SECRET] * 3


def test_objects_and_dialect_options_are_taken_as_they_are():
    """Options that are objects, or that only one dialect knows, are accepted where they fit."""
    settings = DatabaseSettings(
        sqlalchemy={"url": "postgresql+psycopg://h/d", "poolclass": NullPool, "use_native_hstore": False},
    )
    by_name = DatabaseSettings(sqlalchemy={"url": "sqlite://", "poolclass": "sqlalchemy.pool.NullPool"})

    assert settings.sqlalchemy.engine_options() == {"poolclass": NullPool, "use_native_hstore": False}
    assert by_name.sqlalchemy.engine_options() == {"poolclass": NullPool}
