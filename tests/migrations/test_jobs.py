"""The queue of background jobs: each job by one worker at a time, and none lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, LiteralString
from uuid import uuid4

import psycopg
import pytest

from tests.polling import until

if TYPE_CHECKING:
    from tests.fix_product import Person, Product, Row

CLAIM: LiteralString = "select id, lease, attempts, kind from claim_jobs(%s, %s, %s::interval)"
COMPLETE: LiteralString = "select complete_job(%s, %s)"
FAIL: LiteralString = "select fail_job(%s, %s, %s)"
STATE: LiteralString = "select status, attempts, last_error from jobs where id = %s"


def enqueue(product: Product, kind: str = "k", **options: object) -> int:
    """Ask for a job as the app and give its id."""
    given = "".join(f", {name} => %({name})s" for name in options)
    with psycopg.connect(product.runtime_dsn("app_runtime")) as session:
        row = session.execute(f"select enqueue_job(%(kind)s{given})", {"kind": kind, **options}).fetchone()
    assert row is not None
    return int(row[0])


def claim(product: Product, batch: int = 1, visibility: str = "1 minute", worker: str = "w") -> list[Row]:
    """Take jobs as the agent."""
    return product.agent(CLAIM, [worker, batch, visibility])


def test_a_job_from_start_to_end(product: Product) -> None:
    """A job is waiting, then leased to a worker, then done, and is not handed out again."""
    job = enqueue(product)
    [(claimed, lease, attempts, _)] = claim(product)
    assert (claimed, attempts) == (job, 1)
    assert claim(product) == []
    assert product.agent(COMPLETE, [job, lease]) == [(True,)]
    assert product.server(STATE, [job]) == [("done", 1, None)]
    assert claim(product) == []


def test_eight_workers_share_the_jobs(product: Product) -> None:
    """Many workers at once take every job exactly once."""
    product.agent("select enqueue_job('k') from generate_series(1, 200)")

    def work(number: int) -> list[int]:
        taken: list[int] = []
        while jobs := claim(product, 7, worker=f"w{number}"):
            taken += [job for job, *_ in jobs]
        return taken

    with ThreadPoolExecutor(8) as threads:
        taken = [job for jobs in threads.map(work, range(8)) for job in jobs]
    assert len(taken) == len(set(taken)) == 200


def test_a_worker_that_dies_before_its_commit(product: Product) -> None:
    """A killed connection gives back at once what it had taken and not committed."""
    job = enqueue(product)
    doomed = psycopg.connect(product.runtime_dsn("agent_runtime"))
    assert len(doomed.execute(CLAIM, ["doomed", 1, "1 hour"]).fetchall()) == 1
    assert claim(product) == []
    product.owner("select pg_terminate_backend(%s)", [doomed.info.backend_pid])
    [(again, _, attempts, _)] = until(lambda: claim(product))
    doomed.close()
    assert (again, attempts) == (job, 1)


def test_a_worker_that_falls_silent(product: Product) -> None:
    """A job whose lease has run out goes to somebody else; the first worker can no longer finish it."""
    job = enqueue(product)
    [(_, old, *_)] = claim(product, visibility="50 ms")
    [(again, new, attempts, _)] = until(lambda: claim(product))
    assert (again, attempts) == (job, 2)
    assert product.agent(COMPLETE, [job, old]) == [(False,)]
    assert product.agent(FAIL, [job, old, "late"]) == [(None,)]
    assert product.agent("select extend_job(%s, %s)", [job, old]) == [(False,)]
    assert product.agent(COMPLETE, [job, new]) == [(True,)]


def test_a_lease_can_be_extended(product: Product) -> None:
    """A worker that needs longer says so and keeps its job."""
    job = enqueue(product)
    [(_, lease, *_)] = claim(product, visibility="1 minute")
    assert product.agent("select extend_job(%s, %s, '1 hour')", [job, lease]) == [(True,)]
    query: LiteralString = "select leased_until > now() + interval '59 minutes' from jobs"
    assert product.server(query) == [(True,)]


def test_failures_come_back_later_and_end(product: Product) -> None:
    """A failed job waits longer each time, and is given up after its attempts, with the last error."""
    job = enqueue(product, max_attempts=3)
    pauses = []
    for expected in ("queued", "queued", "failed"):
        product.owner("update jobs set run_at = now() where status = 'queued'")
        [(_, lease, *_)] = claim(product)
        assert product.agent(FAIL, [job, lease, "no answer"]) == [(expected,)]
        pauses += product.owner("select extract(epoch from run_at - now())::float from jobs")
    assert 9 < pauses[0][0] <= 20
    assert 19 < pauses[1][0] <= 40
    assert product.server(STATE, [job]) == [("failed", 3, "no answer")]
    assert claim(product) == []


def test_silence_uses_up_attempts(product: Product) -> None:
    """A job that kills its worker every time is given up, and says why."""
    job = enqueue(product, max_attempts=1)
    claim(product, visibility="50 ms", worker="w7")

    def given_up() -> bool:
        claim(product)
        return product.server(STATE, [job]) == [("failed", 1, "worker w7 did not answer in time")]

    until(given_up)


def test_jobs_wait_for_their_time(product: Product) -> None:
    """A job for later is not handed out before, and older ones go first."""
    enqueue(product, "later", run_at="2100-01-01")
    enqueue(product, "second", run_at="2020-01-02")
    enqueue(product, "first", run_at="2020-01-01")
    assert [kind for *_, kind in claim(product, 10)] == ["first", "second"]


def test_workers_choose_their_kinds(product: Product) -> None:
    """A worker takes what it knows and leaves the rest."""
    for kind in ("a", "b", "c"):
        enqueue(product, kind)
    rows = product.agent("select kind from claim_jobs('w', 10, kinds => array['a', 'c'])")
    assert sorted(rows) == [("a",), ("c",)]


def test_one_waiting_job_per_key(product: Product) -> None:
    """Asked for twice, a keyed job waits once, at the earlier time; while it runs, a new one may wait."""
    first = enqueue(product, deduplication_key="x", run_at="2100-01-01")
    assert enqueue(product, deduplication_key="x", run_at="2020-01-01") == first
    assert enqueue(product, "other", deduplication_key="x") != first
    product.agent("select claim_jobs('w', 1, kinds => array['k'])")
    assert enqueue(product, deduplication_key="x") != first


def test_a_failed_job_gives_way_to_its_successor(product: Product) -> None:
    """When the same is waiting already, a failed try is not queued beside it."""
    job = enqueue(product, deduplication_key="x")
    [(_, lease, *_)] = claim(product)
    enqueue(product, deduplication_key="x")
    assert product.agent(FAIL, [job, lease, "broke"]) == [("failed",)]
    assert product.server("select status from jobs order by id") == [("failed",), ("queued",)]


def test_asking_at_once_for_the_same(product: Product) -> None:
    """Many callers that ask at once for the same keyed job get one job."""
    with ThreadPoolExecutor(8) as threads:
        jobs = list(threads.map(lambda _: enqueue(product, deduplication_key="x"), range(16)))
    assert len(set(jobs)) == 1


@pytest.mark.parametrize(
    ("batch", "visibility", "message"),
    [
        (0, "1 minute", "1 to 100 jobs"),
        (101, "1 minute", "1 to 100 jobs"),
        (1, "0 s", "at most one day"),
        (1, "-1 s", "at most one day"),
        (1, "25 hours", "at most one day"),
    ],
)
def test_claims_are_bounded(product: Product, batch: int, visibility: str, message: str) -> None:
    """A worker cannot take everything, nor anything for ever."""
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=message):
        claim(product, batch, visibility)


def test_purge_removes_what_is_finished(product: Product) -> None:
    """Finished jobs go when they are old; waiting and running ones stay."""
    old, *_ = [enqueue(product, kind) for kind in ("done", "running", "queued")]
    jobs = {kind: (job, lease) for job, lease, _, kind in claim(product, 2)}
    product.agent(COMPLETE, jobs["done"])
    assert product.agent("select purge_jobs()") == [(0,)]
    assert product.agent("select purge_jobs('0 s')") == [(1,)]
    assert product.server("select count(*) from jobs where id = %s", [old]) == [(0,)]
    assert product.server("select count(*) from jobs") == [(2,)]


def test_the_queue_is_the_services(product: Product, alice: Person) -> None:
    """Users neither ask for jobs nor take them; the app asks and does not take."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        product.user(alice, "select enqueue_job('k')")
    for query in ("select claim_jobs('w')", "select purge_jobs()"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            product.app(query)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        product.app(COMPLETE, [1, uuid4()])
