"""The extensions that the owner of a project may install, and what our own ones do."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from typing import Any

import psycopg
import pytest
from psycopg import errors

from emulator import extensions

KEY = "canary-0451"
TEXTS = ["", "a" * 55, "a" * 56, "a" * 64, "grüße " * 40]


def _one(session: psycopg.Connection, query: str, *values: object) -> Any:
    row = session.execute(query.encode(), values).fetchone()
    assert row is not None
    return row[0]


class TestInstall:
    """`create extension` as the owner."""

    def test_defaults(self, owner: psycopg.Connection) -> None:
        """A new project has the platform's default extensions, in the platform's schemas."""
        rows = owner.execute("select extname, extnamespace::regnamespace::text from pg_extension")
        assert dict(rows.fetchall()) == {
            "plpgsql": "pg_catalog",
            "uuid-ossp": "extensions",
            "pgcrypto": "extensions",
            "pg_stat_statements": "extensions",
            "supabase_vault": "vault",
        }

    @pytest.mark.parametrize("name", [*extensions.OPENED, "pg_cron", "pg_net"])
    def test_owner_installs(self, trial: psycopg.Connection, name: str) -> None:
        """The owner, no superuser, installs each extension of the platform's list."""
        trial.execute(f"create extension if not exists {name} cascade".encode())
        assert _one(trial, "select count(*) from pg_extension where extname = %s", name) == 1

    @pytest.mark.parametrize("name", ["file_fdw", "pageinspect"])
    def test_others_are_refused(self, trial: psycopg.Connection, name: str) -> None:
        """An extension that is not on the list needs a superuser."""
        with pytest.raises(errors.InsufficientPrivilege, match="Must be superuser"):
            trial.execute(f"create extension {name}".encode())

    @pytest.mark.parametrize("name", ["pgcrypto", "uuid-ossp", "supabase_vault"])
    def test_defaults_again(self, trial: psycopg.Connection, name: str) -> None:
        """A migration that asks for what is there already succeeds."""
        trial.execute(f'create extension if not exists "{name}" with schema extensions'.encode())

    def test_vector_works(self, trial: psycopg.Connection) -> None:
        """The pgvector of the installation is loaded and computes."""
        trial.execute("create extension vector with schema extensions")
        assert _one(trial, "select '[0,3]'::extensions.vector OPERATOR(extensions.<->) '[4,0]'") == 5

    def test_statements_are_counted(self, owner: psycopg.Connection) -> None:
        """pg_stat_statements is loaded with the server."""
        assert (
            _one(owner, "select count(*) from pg_stat_statements where query like '%%pg_stat_statements%%'")
            >= 0
        )


class TestPgcrypto:
    """The part of pgcrypto that is there."""

    @pytest.mark.parametrize("text", TEXTS)
    @pytest.mark.parametrize("kind", ["md5", "sha224", "sha256", "sha384", "sha512"])
    def test_digest(self, owner: psycopg.Connection, kind: str, text: str) -> None:
        """digest() agrees with Python's hashlib."""
        assert _one(owner, "select digest(%s, %s)", text, kind) == hashlib.new(kind, text.encode()).digest()

    @pytest.mark.parametrize("key", ["k", "k" * 64, "k" * 200])
    @pytest.mark.parametrize("kind", ["md5", "sha256", "sha512"])
    def test_hmac(self, owner: psycopg.Connection, kind: str, key: str) -> None:
        """hmac() agrees with Python's hmac for keys below and above the block size."""
        expected = hmac.new(key.encode(), b"text", kind).digest()
        assert _one(owner, "select hmac('text'::text, %s, %s)", key, kind) == expected

    def test_unknown_algorithm(self, owner: psycopg.Connection) -> None:
        """What is missing is said in pgcrypto's words."""
        with pytest.raises(errors.InvalidParameterValue, match='Cannot use "sha9": No such hash algorithm'):
            owner.execute("select digest('a'::text, 'sha9')")

    @pytest.mark.parametrize("length", [1, 16, 17, 1024])
    def test_random_bytes(self, owner: psycopg.Connection, length: int) -> None:
        """gen_random_bytes() gives as many bytes as asked, other ones each time."""
        query = "select gen_random_bytes(%s)"
        assert len(_one(owner, query, length)) == length
        assert _one(owner, "select gen_random_bytes(16)") != _one(owner, "select gen_random_bytes(16)")


class TestUuid:
    """uuid-ossp."""

    @pytest.mark.parametrize("name", TEXTS)
    def test_named(self, owner: psycopg.Connection, name: str) -> None:
        """Versions 3 and 5 agree with Python's uuid."""
        row = owner.execute(
            "select uuid_generate_v3(uuid_ns_url(), %s), uuid_generate_v5(uuid_ns_dns(), %s)", [name, name]
        ).fetchone()
        assert row == (uuid.uuid3(uuid.NAMESPACE_URL, name), uuid.uuid5(uuid.NAMESPACE_DNS, name))

    @pytest.mark.parametrize("version", [1, 4])
    def test_generated(self, owner: psycopg.Connection, version: int) -> None:
        """Versions 1 and 4 carry their version and are new each time."""
        query = f"select uuid_generate_v{version}()"
        first, second = _one(owner, query), _one(owner, query)
        assert first != second
        assert (first.version, first.variant) == (version, uuid.RFC_4122)

    def test_time_of_version_1(self, owner: psycopg.Connection) -> None:
        """Version 1 holds the present time."""
        made = _one(owner, "select uuid_generate_v1()")
        now = _one(owner, "select extract(epoch from now())::float8")
        assert abs(made.time / 1e7 - 12219292800 - now) < 60


class TestVault:
    """Vault."""

    def test_round_trip(self, trial: psycopg.Connection) -> None:
        """What is stored is read back, with name and description."""
        trial.execute("select vault.create_secret(%s, 'n', 'why')", [KEY + " ü"])
        row = trial.execute(
            "select name, description, decrypted_secret from vault.decrypted_secrets"
        ).fetchone()
        assert row == ("n", "why", KEY + " ü")

    def test_ciphertext(self, trial: psycopg.Connection) -> None:
        """The table holds no plain text, and the same text looks different each time."""
        for name in ["a", "b"]:
            trial.execute("select vault.create_secret(%s, %s)", [KEY, name])
        rows = [row[0] for row in trial.execute("select secret from vault.secrets")]
        assert len(set(rows)) == 2
        assert KEY not in _one(trial, "select string_agg(s::text, '') from vault.secrets as s")
        assert KEY.encode() not in _one(
            trial, "select string_agg(decode(secret, 'base64'), '') from vault.secrets"
        )

    def test_update(self, trial: psycopg.Connection) -> None:
        """An update changes what is given and keeps the rest."""
        key = _one(trial, "select vault.create_secret('old', 'n', 'why')")
        trial.execute("select vault.update_secret(%s, 'new')", [key])
        trial.execute("select vault.update_secret(%s, new_name => 'm')", [key])
        query = "select array[decrypted_secret, name, description] from vault.decrypted_secrets"
        assert _one(trial, query) == ["new", "m", "why"]

    def test_names_are_unique(self, trial: psycopg.Connection) -> None:
        """A name is used once; secrets without a name are many."""
        trial.execute(
            "select vault.create_secret('a'), vault.create_secret('b'), vault.create_secret('c', 'n')"
        )
        with pytest.raises(errors.UniqueViolation):
            trial.execute("select vault.create_secret('d', 'n')")

    def test_bound_to_row(self, trial: psycopg.Connection, admin: psycopg.Connection) -> None:
        """Ciphertext that was moved to another row is refused, not decrypted."""
        admin.execute("select vault.create_secret('a', 'x'), vault.create_secret('b', 'y')")
        try:
            admin.execute(
                "update vault.secrets as s set secret = o.secret, nonce = o.nonce"
                " from vault.secrets as o where s.name = 'y' and o.name = 'x'"
            )
            with pytest.raises(psycopg.Error, match="invalid ciphertext"):
                trial.execute("select decrypted_secret from vault.decrypted_secrets where name = 'y'")
        finally:
            admin.execute("delete from vault.secrets")

    @pytest.mark.parametrize(
        "statement",
        [
            "insert into vault.secrets (secret) values ('plain')",
            "select vault._key()",
            "select pg_read_binary_file('emulator_vault.key')",
            "select vault._crypto_aead_det_encrypt('a', 'b', 0)",
        ],
    )
    def test_owner_is_limited(self, trial: psycopg.Connection, statement: str) -> None:
        """The owner writes by the functions only, and cannot get at the key."""
        with pytest.raises(errors.InsufficientPrivilege):
            trial.execute(statement.encode())

    @pytest.mark.parametrize("role", ["anon", "authenticated"])
    def test_closed_to_api(self, trial: psycopg.Connection, role: str) -> None:
        """The Data API's roles see nothing of it."""
        trial.execute(f"set local role {role}".encode())
        with pytest.raises(errors.InsufficientPrivilege):
            trial.execute("select from vault.decrypted_secrets")


@pytest.fixture
def cron(trial: psycopg.Connection) -> psycopg.Connection:
    """Give a session of the owner, in a transaction, with pg_cron."""
    trial.execute("create extension pg_cron")
    return trial


@pytest.fixture
def net(trial: psycopg.Connection) -> psycopg.Connection:
    """Give a session of the owner, in a transaction, with pg_net."""
    trial.execute("create extension pg_net")
    return trial


class TestCron:
    """pg_cron's functions and tables; what runs the jobs is in test_worker.py."""

    @pytest.mark.parametrize(
        "schedule",
        [
            "* * * * *",
            "*/5 0-23/2 1,15 jan-mar mon",
            "0 0 $ * *",
            "5 4 * DEC 7",
            "1 seconds",
            "59 seconds",
            "1 second",
            "@daily",
            " 0  1 * * * ",
        ],
    )
    def test_schedule_is_taken(self, cron: psycopg.Connection, schedule: str) -> None:
        """Each form of a schedule is taken and kept as it was written."""
        key = _one(cron, "select cron.schedule(%s, 'select 1')", schedule)
        assert _one(cron, "select schedule from cron.job where jobid = %s", key) == schedule

    @pytest.mark.parametrize(
        "schedule",
        [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * 32 * *",
            "* * * 13 *",
            "* * * foo *",
            "* * * * 8",
            "5/2 * * * *",
            "*/0 * * * *",
            "5-1 * * * *",
            "1,,2 * * * *",
            "0 seconds",
            "60 seconds",
            "1 minute",
            "@never",
            "$ * * * *",
        ],
    )
    def test_schedule_is_refused(self, cron: psycopg.Connection, schedule: str) -> None:
        """A wrong schedule is refused in pg_cron's words."""
        with pytest.raises(errors.InvalidParameterValue, match="invalid schedule: ") as refused:
            cron.execute("select cron.schedule(%s, 'select 1')", [schedule])
        assert refused.value.diag.message_primary == f"invalid schedule: {schedule}"
        assert "format '[1-59] seconds'" in str(refused.value.diag.message_hint)

    def test_name_is_replaced(self, cron: psycopg.Connection) -> None:
        """The same name of the same user replaces the job and keeps its number."""
        first = _one(cron, "select cron.schedule('n', '* * * * *', 'select 1')")
        assert _one(cron, "select cron.schedule('n', '5 seconds', 'select 2')") == first
        assert cron.execute("select schedule, command, username, active from cron.job").fetchall() == [
            ("5 seconds", "select 2", "postgres", True)
        ]

    def test_alter(self, cron: psycopg.Connection) -> None:
        """alter_job changes what is given and keeps the rest."""
        key = _one(cron, "select cron.schedule('n', '* * * * *', 'select 1')")
        cron.execute("select cron.alter_job(%s, active => false)", [key])
        cron.execute("select cron.alter_job(%s, schedule => '9 seconds')", [key])
        row = cron.execute("select schedule, command, active from cron.job").fetchone()
        assert row == ("9 seconds", "select 1", False)

    @pytest.mark.parametrize("by", ["'n'", "jobid"])
    def test_unschedule(self, cron: psycopg.Connection, by: str) -> None:
        """A job is removed by name or number."""
        cron.execute("select cron.schedule('n', '* * * * *', 'select 1')")
        assert _one(cron, f"select cron.unschedule({by}) from cron.job") is True
        assert _one(cron, "select count(*) from cron.job") == 0

    @pytest.mark.parametrize(
        ("statement", "message"),
        [
            ("select cron.unschedule('x')", "could not find valid entry for job 'x'"),
            ("select cron.unschedule(77)", "could not find valid entry for job 77"),
            ("select cron.alter_job(77, active => true)", "Job 77 does not exist or you don't own it"),
            ("select cron.schedule(null, '* * * * *', 'x')", "job_name can not be NULL"),
            ("select cron.schedule('n', '* * * * *', null)", "command can not be NULL"),
            (
                "select cron.schedule_in_database('n', '* * * * *', 'x', 'postgres', 'postgres')",
                "must be superuser to create a job for another role",
            ),
            (
                "select cron.schedule_in_database('n', '* * * * *', 'x', 'nowhere')",
                '"nowhere" does not exist',
            ),
        ],
    )
    def test_messages(self, cron: psycopg.Connection, statement: str, message: str) -> None:
        """What cannot be done is refused in pg_cron's words."""
        with pytest.raises(psycopg.Error) as refused:
            cron.execute(statement.encode())
        assert message in str(refused.value.diag.message_primary)

    @pytest.mark.parametrize(
        "statement",
        [
            "insert into cron.job (schedule, command) values ('* * * * *', 'x')",
            "update cron.job set active = false",
            "delete from cron.job",
            "create trigger t before update on cron.job_run_details execute function unique_key_recheck()",
            "select cron._schedule('supabase_admin', 'n', '* * * * *', 'x', null, true)",
        ],
    )
    def test_owner_is_limited(self, cron: psycopg.Connection, statement: str) -> None:
        """Jobs change by the functions only, and never in a superuser's name."""
        with pytest.raises(errors.InsufficientPrivilege):
            cron.execute(statement.encode())

    def test_jobs_are_private(self, cron: psycopg.Connection) -> None:
        """Another role sees only jobs of its own, and cannot remove others'."""
        key = _one(cron, "select cron.schedule('n', '* * * * *', 'select 1')")
        cron.execute("create role t_other; grant t_other to postgres with set true")
        cron.execute("grant usage on schema cron to t_other; set local role t_other")
        assert _one(cron, "select count(*) from cron.job") == 0
        cron.execute("select cron.schedule('n', '* * * * *', 'select 2')")
        assert _one(cron, "select string_agg(username, '') from cron.job") == "t_other"
        with pytest.raises(errors.InsufficientPrivilege, match="permission denied for table job"):
            cron.execute("select cron.unschedule(%s)", [key])


class TestNet:
    """pg_net's functions; what sends the requests is in test_worker.py."""

    def test_parameters(self, net: psycopg.Connection) -> None:
        """Parameters are encoded and put before the fragment."""
        net.execute("select net.http_get('http://x.test/a?b=1#c', %s)", ['{"k y": "ü&/~"}'])
        assert (
            _one(net, "select url from net.http_request_queue") == "http://x.test/a?b=1&k%20y=%C3%BC%26%2F~#c"
        )

    def test_post_is_json(self, net: psycopg.Connection) -> None:
        """A POST has a JSON body and the content type that goes with it, added when it is missing."""
        net.execute("select net.http_post('http://x.test/', '{\"a\": 1}', headers => '{\"X\": \"y\"}')")
        row = net.execute(
            "select method, body, headers, timeout_milliseconds from net.http_request_queue"
        ).fetchone()
        assert row == ("POST", b'{"a": 1}', {"X": "y", "Content-Type": "application/json"}, 5000)

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (
                "http_post('http://x.test/', headers => '{\"content-type\": \"text/plain\"}')",
                'Content-Type header must be "application/json"',
            ),
            ("http_get('nonsense')", "Bad scheme"),
            ("http_get('http:///path')", "No host part in the URL"),
        ],
    )
    def test_refusals(self, net: psycopg.Connection, call: str, message: str) -> None:
        """What could never be sent is refused at the call."""
        with pytest.raises(psycopg.Error, match=message):
            net.execute(f"select net.{call}".encode())

    def test_unlogged(self, net: psycopg.Connection) -> None:
        """Queue and answers are not kept over a crash, as on the platform."""
        query = (
            "select array_agg(relpersistence::text) from pg_class"
            " where relnamespace = 'net'::regnamespace and relkind = 'r'"
        )
        assert _one(net, query) == ["u", "u"]

    @pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
    def test_open_to_api(self, net: psycopg.Connection, role: str) -> None:
        """Every role of the Data API may send requests, as on the platform."""
        net.execute(f"set local role {role}".encode())
        assert _one(net, "select net.http_delete('http://x.test/')") > 0
