"""The line before the model: bounded, fair, in time, and each caller gets its own answer."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from service_fakes import Asker, Length

from headstart.core.errors import DataError
from headstart.serve import Limits
from headstart.serve.batching import measured
from headstart.serve.problems import Problem
from headstart.serve.work import SLICE, Work


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 20))


class Echo:
    """Answers each item with itself; waits while its gate is closed."""

    def __init__(self):
        self.calls = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)

    def __call__(self, items):
        self.entered.release()
        assert self.gate.wait(20)
        self.calls.append(list(items))
        if "bad" in items:
            raise DataError("bad", where=f"items[{items.index('bad')}]")
        return [f"<{item}>" for item in items]


def work_of(echo, **more):
    return Work(echo, **{"queue": 100, "seconds": 15.0} | more)


async def until(condition):
    while not condition():
        await asyncio.sleep(0)


async def held(echo, work):
    """Let the model be busy with one job until the gate opens."""
    echo.gate.clear()
    first = asyncio.create_task(work.ask(["first"]))
    await asyncio.to_thread(echo.entered.acquire)
    return first


def test_each_caller_gets_its_own_answers_in_one_call():
    async def ask():
        echo = Echo()
        work = work_of(echo, together=8)
        first = await held(echo, work)
        others = [asyncio.create_task(work.ask([f"{i}a", f"{i}b"])) for i in range(6)]
        await until(lambda: len(work.waiting) == 6)
        echo.gate.set()
        found = await asyncio.gather(first, *others)
        return echo, found

    echo, found = run(ask())
    assert found[1:] == [[f"<{i}a>", f"<{i}b>"] for i in range(6)]
    assert [len(call) for call in echo.calls] == [1, 8, 4]


def test_requests_go_alone_where_together_does_not_pay():
    async def ask():
        echo = Echo()
        work = work_of(echo)
        first = await held(echo, work)
        others = [asyncio.create_task(work.ask([str(i)])) for i in range(5)]
        await until(lambda: len(work.waiting) == 5)
        echo.gate.set()
        await asyncio.gather(first, *others)
        return echo

    assert [len(call) for call in run(ask()).calls] == [1] * 6


def test_a_bad_item_harms_nobody_else():
    async def ask():
        echo = Echo()
        work = work_of(echo, together=8)
        first = await held(echo, work)
        others = [asyncio.create_task(work.ask([one])) for one in ("a", "bad", "c")]
        await until(lambda: len(work.waiting) == 3)
        echo.gate.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    found = run(ask())
    assert found[1] == ["<a>"]
    assert isinstance(found[2], DataError)
    assert found[2].where == "items[0]"
    assert found[3] == ["<c>"]


def test_long_requests_let_others_in_between():
    async def ask():
        echo = Echo()
        work = work_of(echo)
        first = await held(echo, work)
        long = asyncio.create_task(work.ask([str(i) for i in range(3 * SLICE + 1)]))
        await until(lambda: len(work.waiting) == 1)
        short = asyncio.create_task(work.ask(["short"]))
        await until(lambda: len(work.waiting) == 2)
        echo.gate.set()
        await asyncio.gather(first, short)
        found = await long
        return echo, found

    echo, found = run(ask())
    assert found == [f"<{i}>" for i in range(3 * SLICE + 1)]
    assert [len(call) for call in echo.calls] == [1, SLICE, 1, SLICE, SLICE, 1]


def test_the_place_of_a_bad_item_is_that_in_the_request():
    async def ask():
        items = [str(i) for i in range(SLICE + 9)]
        items[SLICE + 5] = "bad"
        await work_of(Echo()).ask(items)

    with pytest.raises(DataError) as caught:
        run(ask())
    assert caught.value.where == f"items[{SLICE + 5}]"


def test_the_line_is_bounded():
    async def ask():
        echo = Echo()
        work = work_of(echo, queue=3)
        first = await held(echo, work)
        others = [asyncio.create_task(work.ask([str(i)])) for i in range(5)]
        await until(lambda: sum(one.done() for one in others) == 3)
        echo.gate.set()
        return await asyncio.gather(first, *others, return_exceptions=True), work.inside

    found, inside = run(ask())
    assert [isinstance(one, Problem) for one in found] == [False] * 3 + [True] * 3
    assert found[3].status == 503
    assert found[3].headers == {"Retry-After": "1"}
    assert inside == 0


def test_what_is_late_is_given_up_and_not_computed():
    async def ask():
        echo = Echo()
        work = work_of(echo, seconds=0.05)
        first = await held(echo, work)
        late = asyncio.create_task(work.ask(["late"]))
        found = await asyncio.gather(first, late, return_exceptions=True)
        echo.gate.set()
        assert await work.ask(["next"], seconds=10) == ["<next>"]
        return echo, found

    echo, found = run(ask())
    assert [one.status for one in found] == [504, 504]
    assert echo.calls == [["first"], ["next"]]


def test_what_nobody_waits_for_is_not_computed():
    async def ask():
        echo = Echo()
        work = work_of(echo)
        first = await held(echo, work)
        gone = asyncio.create_task(work.ask(["gone"]))
        last = asyncio.create_task(work.ask(["last"]))
        await until(lambda: len(work.waiting) == 2)
        gone.cancel()
        await until(gone.done)
        echo.gate.set()
        await asyncio.gather(first, last)
        return echo

    assert run(ask()).calls == [["first"], ["last"]]


def test_other_questions_go_by_themselves():
    async def ask():
        echo = Echo()
        work = work_of(echo, together=8)
        first = await held(echo, work)
        asked = [
            asyncio.create_task(work.ask(["a"])),
            asyncio.create_task(work.ask(["why"], lambda items: ["because", items[0]])),
            asyncio.create_task(work.ask(["b"])),
        ]
        await until(lambda: len(work.waiting) == 3)
        echo.gate.set()
        return echo, (await asyncio.gather(first, *asked))[1:]

    echo, found = run(ask())
    assert found == [["<a>"], ["because", "why"], ["<b>"]]
    assert echo.calls == [["first"], ["a"], ["b"]]


def test_stopping_finishes_the_line():
    async def ask():
        echo = Echo()
        work = work_of(echo)
        first = await held(echo, work)
        others = [asyncio.create_task(work.ask([str(i)])) for i in range(5)]
        await until(lambda: len(work.waiting) == 5)
        stopped = asyncio.create_task(asyncio.to_thread(work.stop))
        echo.gate.set()
        found = await asyncio.gather(first, *others)
        await stopped
        return found

    assert run(ask())[1:] == [[f"<{i}>"] for i in range(5)]


def test_what_was_stopped_can_start_again():
    async def ask():
        work = work_of(Echo())
        found = [await work.ask(["a"])]
        await asyncio.to_thread(work.stop)
        work.start()
        found.append(await work.ask(["b"]))
        await asyncio.to_thread(work.stop)
        return found

    assert run(ask()) == [["<a>"], ["<b>"]]


def test_a_model_that_loses_answers_is_found_out():
    async def ask():
        await work_of(lambda items: ["one"]).ask(["a", "b"])

    with pytest.raises(RuntimeError, match="1 answers to 2 items"):
        run(ask())


def test_a_caller_who_goes_away_is_taken_out_of_the_line():
    """Straight through ASGI: the connection breaks while the model is busy with another."""

    async def ask():
        asker = Asker(Length())
        predictor = asker.predictor
        predictor.gate.clear()
        first = asyncio.create_task(asker.post(json={"text": "first"}))
        await until(lambda: asker.service.work.inside == 1 and not asker.service.work.waiting)
        broken = asyncio.Event()
        sent = []
        body = [{"type": "http.request", "body": b'{"text": "gone"}', "more_body": False}]

        async def receive():
            if body:
                return body.pop()
            await broken.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/predict",
            "raw_path": b"/predict",
            "query_string": b"",
            "headers": headers,
            "client": ("127.0.0.1", 1),
        }
        gone = asyncio.create_task(asker.app(scope, receive, send))
        await until(lambda: asker.service.work.inside == 2)
        broken.set()
        await gone
        predictor.gate.set()
        answer = await first
        return asker, sent, answer

    asker, sent, answer = run(ask())
    assert sent == []
    assert answer.status_code == 200
    assert asker.predictor.seen == ["first"]
    assert '"status": 499' in asker.log.getvalue()
    assert asker.service.held == 0


def test_late_answers_are_504_and_a_full_line_is_503():
    async def ask():
        limits = Limits(queue=2, answer_seconds=0.2)
        asker = Asker(Length(), limits=limits)
        asker.predictor.gate.clear()
        found = await asyncio.gather(*[asker.post(json={"text": "a"}) for _ in range(4)])
        health = await asker.get("/healthz")
        asker.predictor.gate.set()
        return found, health

    found, health = run(ask())
    assert sorted(one.status_code for one in found) == [503, 503, 504, 504]
    assert health.status_code == 200
    busy = next(one for one in found if one.status_code == 503)
    assert busy.headers["retry-after"] == "1"


class Costs:
    """A model whose calls cost so much each and so much an item, on a clock of its own."""

    def __init__(self, monkeypatch, call, item):
        self.call, self.item, self.now = call, item, 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def __call__(self, items):
        self.now += self.call + self.item * len(items)
        return items


@pytest.mark.parametrize(
    ("call", "item", "together"),
    [
        (0.010, 0.001, 32),  # the call costs more than the items
        (0.0, 0.010, 1),  # items cost the same together
        (0.001, 0.010, 1),  # hardly less
        (0.010, 0.010, 8),  # 16 gain little more
        (1.0, 0.1, 1),  # eight take too long
    ],
)
def test_batching_is_on_only_where_it_pays(monkeypatch, call, item, together):
    found = measured(Costs(monkeypatch, call, item), lambda n: list(range(n)))
    assert found.together == together
    assert found.told()["on"] is (together > 1)
    assert "one item takes" in found.why


def test_starting_measures_and_says_so():
    async def ask():
        asker = Asker(Length())
        asker.service.start()
        await asker.service.warm_up()
        asker.service.stop()
        return asker, asker.service.info()

    asker, info = run(ask())
    assert info["batching"]["why"].startswith("one item takes")
    assert '"event": "batching"' in asker.log.getvalue()


def test_items_that_are_read_together_are_neither_cut_nor_put_beside_others():
    async def ask():
        echo = Echo()
        work = work_of(echo, together=100, whole=lambda items: "whole" in items)
        first = await held(echo, work)
        long = ["whole", *map(str, range(2 * SLICE))]
        jobs = (["a"], long, ["b"], ["c"])
        others = [asyncio.create_task(work.ask(one)) for one in jobs]
        await until(lambda: len(work.waiting) == len(jobs))
        echo.gate.set()
        return echo, await asyncio.gather(first, *others)

    echo, found = run(ask())
    assert [len(call) for call in echo.calls] == [1, 1, 2 * SLICE + 1, 2]
    assert found[3:] == [["<b>"], ["<c>"]]


def test_numbers_with_commas_are_never_read_beside_those_of_another_caller():
    columns = (("size", "number"), ("place", "category"))
    together = Asker(Length("table", columns)).service.work.whole
    assert together([{"size": 1, "place": "a"}, {"size": "1,234", "place": "a"}])
    assert not together([{"size": "1234", "place": "Rome, Italy"}, {"size": None, "place": None}])
    assert not Asker(Length()).service.work.whole(["1,234"])


def test_the_row_of_a_bad_cell_is_that_in_the_request():
    def predict(items):
        if "bad" in items:
            raise DataError("bad", where=f"items, row {items.index('bad') + 1}")
        return items

    items = [str(i) for i in range(SLICE + 9)]
    items[SLICE + 5] = "bad"
    with pytest.raises(DataError) as caught:
        run(work_of(predict).ask(items))
    assert caught.value.where == f"items, row {SLICE + 6}"
