import asyncio

import pytest

from embedding_assets.api import reports
from embedding_assets.api.problems import OverloadedError
from embedding_assets.api.reports import Reports


class Work:
    """Computations that end when told."""

    def __init__(self):
        self.may_end = asyncio.Event()
        self.begun = 0

    async def run(self, analyse):
        self.begun += 1
        await self.may_end.wait()
        return analyse()


def asked(scenario):
    async def run():
        work = Work()
        return await scenario(work, Reports(work.run))

    return asyncio.run(run())


async def started(*waiting):
    tasks = [asyncio.ensure_future(each) for each in waiting]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


def test_who_asks_meanwhile_or_soon_after_gets_the_same_report():
    async def scenario(work, found):
        tasks = await started(*(found.get("e1", object) for _ in range(8)))
        work.may_end.set()
        answers = await asyncio.gather(*tasks, found.get("e1", object))
        return len({*map(id, [*answers, await found.get("e1", object)])}), work.begun

    assert asked(scenario) == (1, 1)


def test_each_experiment_has_a_report_of_its_own():
    async def scenario(work, found):
        work.may_end.set()
        return [await found.get(id, lambda id=id: id) for id in ("e1", "e2")]

    assert asked(scenario) == ["e1", "e2"]


def test_a_report_grows_old(monkeypatch):
    monkeypatch.setattr(reports, "FRESH_SECONDS", 0.0)

    async def scenario(work, found):
        work.may_end.set()
        return [await found.get("e1", lambda n=n: n) for n in range(2)]

    assert asked(scenario) == [0, 1]


def test_a_report_goes_on_when_who_asked_leaves():
    async def scenario(work, found):
        [task] = await started(found.get("e1", lambda: 1))
        task.cancel()
        work.may_end.set()
        return await found.get("e1", lambda: 2)

    assert asked(scenario) == 1


def test_what_was_begun_before_a_change_is_not_told_after_it():
    async def scenario(work, found):
        before = await started(found.get("e1", lambda: "before"))
        found.forget("e1")
        after = await started(found.get("e1", lambda: "after"))
        work.may_end.set()
        answers = await asyncio.gather(*before, *after)
        return answers, await found.get("e1", lambda: "later")

    assert asked(scenario) == (["before", "after"], "after")


def test_a_failure_is_told_to_all_who_wait_and_not_kept():
    def fails():
        raise OverloadedError("Too many wait.")

    async def scenario(work, found):
        tasks = await started(found.get("e1", fails), found.get("e1", fails))
        work.may_end.set()
        failed = await asyncio.gather(*tasks, return_exceptions=True)
        return [type(each) for each in failed], await found.get("e1", lambda: 1)

    assert asked(scenario) == ([OverloadedError] * 2, 1)


@pytest.mark.parametrize("count", [17])
def test_no_more_than_a_few_reports_wait(client, count):
    service = client.app.state.service

    async def scenario():
        loop = asyncio.get_running_loop()
        may_end = asyncio.Event()

        def blocks():
            asyncio.run_coroutine_threadsafe(may_end.wait(), loop).result()

        tasks = [asyncio.ensure_future(service.run_report(blocks)) for _ in range(count)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        key_check = await service.run_database(lambda: "answered")
        may_end.set()
        return key_check, await asyncio.gather(*tasks, return_exceptions=True)

    key_check, answers = client.portal.call(scenario)
    assert key_check == "answered"
    assert [type(each) for each in answers if each] == [OverloadedError]
