"""Who may come in: keys, names, pages of other sites; what every answer carries."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest
from service_fakes import Asker, Length

from headstart.core.errors import OptionError
from headstart.serve.guard import FAILURES
from headstart.serve.settings import Settings, is_loopback

KEY = "a-key-of-some-length-0123"


def run(coroutine):
    return asyncio.run(coroutine)


def keyed(**more):
    return Asker(Length(), api_key=KEY, **more)


def test_an_open_address_needs_a_key():
    with pytest.raises(OptionError, match="no key"):
        Settings(host="0.0.0.0")
    with pytest.raises(OptionError, match="no key"):
        Settings(host="example.org")
    assert Settings(host="0.0.0.0", api_key=KEY).loopback is False


@pytest.mark.parametrize("key", ["", "short", "with a blank in the key", "nönascii-key-0123456"])
def test_weak_keys_are_refused(key):
    with pytest.raises(OptionError, match="cannot be a key"):
        Settings(api_key=key)


def test_keys_are_never_shown():
    assert KEY not in repr(Settings(api_key=KEY))


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("localhost", True),
        ("[::1]", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("localhost.evil.org", False),
        ("127.0.0.1.evil.org", False),
        ("", False),
    ],
)
def test_loopback(host, own):
    assert is_loopback(host) is own


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer  {KEY}"},
        {"X-API-Key": KEY},
        {"Authorization": "Basic " + base64.b64encode(f"me:{KEY}".encode()).decode()},
    ],
)
def test_the_right_key_opens(headers):
    answer = run(keyed().post(json={"text": "abc"}, headers=headers))
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": f"Bearer {KEY[:-1]}"},
        {"Authorization": "Bearer "},
        {"Authorization": KEY},
        {"Authorization": "Basic !"},
        {"X-API-Key": "ü".encode()},
        {"X-API-Key": "wrong", "Authorization": f"Bearer {KEY}"},
    ],
)
def test_no_other_key_does(headers):
    for path in ("/info", "/metrics", "/docs", "/openapi.json", "/", "/v2", "/nothing"):
        answer = run(keyed().get(path, headers=headers))
        assert answer.status_code == 401, path
    assert answer.headers["www-authenticate"].startswith("Basic")
    answer = run(keyed().post(json={"text": "abc"}, headers=headers))
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "no_key"


def test_health_needs_no_key():
    for path in ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"):
        assert run(keyed().get(path)).status_code == 200


def test_keys_cannot_be_guessed_quickly_and_the_right_one_still_opens():
    async def guess():
        asker = keyed()
        async with asker.client() as client:
            wrong = {"X-API-Key": "guess"}
            found = [(await client.get("/info", headers=wrong)).status_code for _ in range(40)]
            last = await client.get("/info", headers=wrong)
            right = await client.get("/info", headers={"X-API-Key": KEY})
        return found, last, right

    found, last, right = run(guess())
    assert found == [401] * FAILURES + [429] * (40 - FAILURES)
    assert 1 <= int(last.headers["retry-after"]) <= 61
    assert right.status_code == 200


def test_keys_and_content_stay_out_of_the_log():
    asker = keyed()
    run(asker.post(json={"text": "my secret text"}, headers={"X-API-Key": KEY}))
    run(asker.post(json={"text": "my secret text"}, headers={"X-API-Key": KEY + "wrong"}))
    lines = [json.loads(line) for line in asker.log.getvalue().splitlines()]
    assert [line["status"] for line in lines] == [200, 401]
    assert set(lines[0]) == {"time", "event", "id", "method", "route", "status", "ms", "items"}
    assert lines[0]["items"] == 1
    assert "secret" not in asker.log.getvalue()
    assert KEY not in asker.log.getvalue()


@pytest.mark.parametrize(
    "host", ["evil.org", "evil.org:8000", "127.0.0.1.evil.org", "0.0.0.0", "a"]
)
def test_other_names_are_refused_on_a_loopback_address(host):
    asker = Asker(Length())
    for path in ("/info", "/healthz", "/"):
        assert run(asker.get(path, headers={"Host": host})).status_code == 403
    answer = run(asker.post(json={"text": "abc"}, headers={"Host": host}))
    assert answer.status_code == 403
    assert answer.json()["error"]["where"] == "Host"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:8000"])
def test_own_names_are_taken(host):
    assert run(Asker(Length()).get("/info", headers={"Host": host})).status_code == 200


def test_a_further_name_can_be_allowed_and_a_key_opens_an_address_to_any():
    named = Asker(Length(), allowed_hosts=("Model.Example",))
    assert run(named.get("/info", headers={"Host": "model.example:80"})).status_code == 200
    assert run(named.get("/info", headers={"Host": "b.example"})).status_code == 403
    everywhere = keyed(host="0.0.0.0")
    answer = run(everywhere.get("/info", headers={"Host": "b.example", "X-API-Key": KEY}))
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.org"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_other_sites_may_not_post(headers):
    asker = Asker(Length())
    for path in ("/predict", "/corrections", "/explain", "/v2/models/model/infer"):
        answer = run(asker.post(path, json={"text": "abc"}, headers=headers))
        assert answer.status_code == 403
    assert asker.predictor.seen == []


def test_the_own_page_may_post_and_nobody_is_told_of_others():
    headers = {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}
    answer = run(Asker(Length()).post(json={"text": "abc"}, headers=headers))
    assert answer.status_code == 200
    assert not any(name.startswith("access-control") for name in answer.headers)


def test_ids_of_requests_are_echoed_where_they_are_sane():
    asker = Asker(Length())
    for given, kept in (
        ("abc-1.2_3:4", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("a b", False),
        ('"', False),
        ("", False),
    ):
        for answer in (
            run(asker.get("/healthz", headers={"X-Request-ID": given})),
            run(asker.post(json={"text": "a"}, headers={"X-Request-ID": given})),
        ):
            found = answer.headers["x-request-id"]
            assert (found == given) is kept
            assert found


def test_every_answer_says_that_it_is_no_page():
    asker = Asker(Length())
    for answer in (
        run(asker.get("/healthz")),
        run(asker.get("/nothing")),
        run(asker.post(json={"text": "a"})),
        run(asker.post(json={})),
    ):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


def test_numbers_for_prometheus():
    async def ask():
        asker = Asker(Length())
        async with asker.client() as client:
            await client.post("/predict", json={"items": ["ab", "abc", "x" * 50]})
            for path in ("/nothing", "/else", "/v2/models/a", "/v2/models/b", "/static/x"):
                await client.get(path)
            return (await client.get("/metrics")).text

    text = run(ask())
    assert 'headstart_requests_total{route="/predict",status="200"} 1.0' in text
    assert 'headstart_requests_total{route="(other)",status="404"} 2.0' in text
    assert 'headstart_requests_total{route="/v2/models/{model}",status="404"} 2.0' in text
    assert "headstart_items_total 3.0" in text
    assert "headstart_abstentions_total 1.0" in text
    assert 'headstart_predictions_total{label="even"} 1.0' in text
    assert "headstart_queue_requests 0.0" in text
    assert "/nothing" not in text


def test_only_so_many_classes_are_counted_by_name():
    from headstart.serve.metrics import CLASSES, Metrics

    metrics = Metrics([f"class {i}" for i in range(500)])
    metrics.answered({"class 499": 2, "class 3": 1}, 3, 0)
    text = metrics.text().decode()
    assert 'headstart_predictions_total{label="(other)"} 2.0' in text
    assert text.count("headstart_predictions_total{") == CLASSES + 1
