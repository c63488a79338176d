"""What may be asked, in which form, and what is answered."""

from __future__ import annotations

import asyncio
import base64
import json
import tracemalloc

import pytest
from service_fakes import Asker, Length, Number, picture

from headstart.core.errors import OptionError
from headstart.serve import Limits
from headstart.serve.forms import read_form
from headstart.serve.problems import Problem
from headstart.serve.reading import Wanted
from headstart.serve.settings import Settings


def run(coroutine):
    return asyncio.run(coroutine)


def error_of(answer):
    found = answer.json()["error"]
    assert set(found) == {"code", "message", "where", "hint"}
    assert found["message"]
    return found


def test_texts_are_answered_in_their_order():
    answer = run(Asker(Length()).post(json={"items": ["ab", "abc", "ü😀"]}))
    assert answer.status_code == 200
    found = answer.json()
    assert found["model"] == "abcdef012345"
    assert [one["label"] for one in found["predictions"]] == ["even", 'o"dd', "even"]
    assert found["predictions"][1] == {
        "label": 'o"dd',
        "confidence": 0.75,
        "abstained": False,
        "probabilities": {"even": 0.0, 'o"dd': 1.0},
    }
    assert found["names"] == ["item 1", "item 2", "item 3"]


def test_numbers_have_no_confidence():
    answer = run(Asker(Number()).post(json={"text": "abcd"}))
    assert answer.json()["predictions"] == [
        {"label": 4.0, "confidence": None, "abstained": False, "probabilities": {}}
    ]


def test_one_item_may_be_given_by_itself():
    asker = Asker(Length())
    for body in ({"text": "abc"}, {"item": "abc"}, {"items": ["abc"]}):
        assert run(asker.post(json=body)).json()["predictions"][0]["label"] == 'o"dd'


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        (b"{", 400, "body"),
        (b'{"items": [NaN]}', 400, "body"),
        (b"\xff\xfe\x00", 400, "body"),
        (b"[" * 100_000, 400, "body"),
        (b"1" * 5000, 400, "body"),
        (b"[]", 422, None),
        (b"{}", 422, None),
        (b'{"items": "abc"}', 422, "items"),
        (b'{"items": []}', 422, "items"),
        (b'{"items": [1]}', 422, "items[0]"),
        (b'{"items": ["a", null]}', 422, "items[1]"),
        (b'{"items": ["\\ud800"]}', 422, "items[0]"),
        (b'{"items": ["a"], "text": "b"}', 422, "items, text"),
        (b'{"items": ["a"], "url": "http://a"}', 422, "url"),
        (b'{"items": ["bad"]}', 422, "items[0]"),
    ],
)
def test_bad_bodies_say_what_is_wrong(body, status, where):
    headers = {"Content-Type": "application/json"}
    answer = run(Asker(Length()).post(content=body, headers=headers))
    assert answer.status_code == status
    assert error_of(answer)["where"] == where


def test_other_types_are_refused():
    asker = Asker(Length())
    for kind in ("text/plain", "", "application/x-www-form-urlencoded"):
        answer = run(asker.post(content=b"abc", headers={"Content-Type": kind}))
        assert answer.status_code == 415
        assert error_of(answer)["code"] == "unknown_type"


def test_limits_of_texts_and_items():
    asker = Asker(Length(), limits=Limits(items=3, characters=10, body_bytes=2000))
    assert run(asker.post(json={"items": ["a"] * 4})).status_code == 413
    assert run(asker.post(json={"items": ["a" * 11]})).status_code == 413
    assert run(asker.post(json={"items": ["a" * 3000]})).status_code == 413
    many = [("text", (None, "a"))] * 80
    assert run(asker.post(files=many)).status_code == 413
    assert run(asker.post(json={"items": ["a" * 10] * 3})).status_code == 200


def test_a_body_of_very_many_parts_is_not_parsed():
    asker = Asker(Length())
    body = b'{"items": [' + b"{}," * 200_000 + b"0]}"
    answer = run(asker.post(content=body, headers={"Content-Type": "application/json"}))
    assert answer.status_code == 413
    assert "parts" in error_of(answer)["message"]


def test_bodies_without_a_length_are_counted():
    async def chunks():
        for _ in range(40):
            yield b"a" * 100

    asker = Asker(Length(), limits=Limits(body_bytes=2000))
    answer = run(asker.post(content=chunks(), headers={"Content-Type": "application/json"}))
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"
    assert asker.service.held == 0


def test_all_bodies_together_are_bounded():
    asker = Asker(Length(), limits=Limits(memory_bytes=100))
    answer = run(asker.post(json={"items": ["a" * 200]}))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert asker.service.held == 0


def test_forms_of_texts():
    asker = Asker(Length())
    answer = run(asker.post(files=[("text", (None, "ab")), ("text", (None, "abc"))]))
    assert [one["label"] for one in answer.json()["predictions"]] == ["even", 'o"dd']


@pytest.mark.parametrize(
    ("name", "content", "seen"),
    [
        ("a.txt", b"one\n\ntwo\n", ["one", "two"]),
        ("a.csv", b"text,n\none,1\ntwo,2\n", ["one", "two"]),
        ("a.csv", 'Satz\n"eins, zwei"\n'.encode("utf-8-sig"), ["eins, zwei"]),
        ("a.csv", b"n;text\n1;one\n2;two\n", ["one", "two"]),
        ("a.tsv", b"text\tn\none\t1\n", ["one"]),
        ("a.jsonl", b'{"text": "one"}\n{"text": "two"}\n', ["one", "two"]),
        ("a.jsonl", b'"one"\n"two"\n', ["one", "two"]),
    ],
)
def test_files_of_texts(name, content, seen):
    asker = Asker(Length())
    answer = run(asker.post(files=[("files", (name, content))]))
    assert answer.status_code == 200, answer.text
    assert asker.predictor.seen == seen
    assert answer.json()["names"] == [f"row {place + 1}" for place in range(len(seen))]


def test_the_column_of_texts_can_be_named():
    asker = Asker(Length())
    files = [("files", ("a.csv", b"title,body\none,two\n")), ("column", (None, "body"))]
    assert run(asker.post(files=files)).status_code == 200
    assert asker.predictor.seen == ["two"]


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("a.xlsx", b"PK", 415),
        ("a.csv", b"a,b\n1\n", 422),
        ("a.csv", b"a,a\n1,2\n", 422),
        ("a.csv", b"a,b\n1,2\n", 422),
        ("a.csv", b"text\n", 422),
        ("a.jsonl", b"{\n", 422),
        ("a.jsonl", b"1\n", 422),
        ("a.txt", b"abc\x00def", 422),
    ],
)
def test_files_that_hold_no_texts(name, content, status):
    answer = run(Asker(Length()).post(files=[("files", (name, content))]))
    assert answer.status_code == status
    error_of(answer)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x\r\n",
        b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\nabc',
        b'--y\r\nContent-Disposition: form-data; name="text"\r\n\r\nabc\r\n--y--\r\n',
    ],
)
def test_damaged_forms(body):
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = run(Asker(Length()).post(content=body, headers=headers))
    assert answer.status_code == 400
    assert error_of(answer)["where"] == "body"
    answer = run(
        Asker(Length()).post(content=body, headers={"Content-Type": "multipart/form-data"})
    )
    assert answer.status_code == 400


def test_fields_of_forms_that_are_not_known():
    asker = Asker(Length())
    assert run(asker.post(files=[("path", (None, "/etc/passwd"))])).status_code == 422
    both = [("text", (None, "a")), ("files", ("a.txt", b"b"))]
    assert run(asker.post(files=both)).status_code == 422
    long = [("text", (None, "a")), ("column", (None, "c" * 2000))]
    assert run(asker.post(files=long)).status_code == 413
    broken = [("text", (None, b"\xff"))]
    assert run(asker.post(files=broken)).status_code == 422


COLUMNS = (("width", "number"), ("colour", "category"))


class Rows(Length):
    def predict(self, items):
        self.seen += items
        return super().predict(["x" * int(item["width"] or 0) for item in items])


def test_rows_are_checked_cell_by_cell():
    asker = Asker(Rows("table", COLUMNS), limits=Limits(characters=20, columns=5))
    good = {"width": 3, "colour": None, "other": "not looked at"}
    assert run(asker.post(json={"items": [good]})).status_code == 200
    assert asker.predictor.seen[0] == {"width": 3, "colour": None}
    for row, status in (
        ([1, 2], 422),
        ({"width": 1}, 422),
        ({"width": [1], "colour": "a"}, 422),
        ({"width": {"b": 1}, "colour": "a"}, 422),
        ({"width": 10**30, "colour": "a"}, 422),
        ({"width": 1, "colour": "a" * 21}, 413),
        (dict.fromkeys("abcdef", 1), 413),
    ):
        assert run(asker.post(json={"items": [row]})).status_code == status, row
    body = b'{"items": [{"width": 1e999, "colour": null}]}'
    answer = run(asker.post(content=body, headers={"Content-Type": "application/json"}))
    assert answer.status_code == 422
    assert "items[0], column 'width'" in error_of(answer)["where"]


def test_files_of_rows():
    asker = Asker(Rows("table", COLUMNS))
    csv = b"colour,width\nred,2\n,3\n"
    answer = run(asker.post(files=[("files", ("a.csv", csv))]))
    assert answer.status_code == 200, answer.text
    assert asker.predictor.seen[:2] == [
        {"width": "2", "colour": "red"},
        {"width": "3", "colour": None},
    ]
    assert run(asker.post(files=[("files", ("a.txt", b"abc"))])).status_code == 422
    assert run(asker.post(files=[("text", (None, "abc"))])).status_code == 422
    row = json.dumps({"width": 1, "colour": "a"})
    assert run(asker.post(files=[("item", (None, row))])).status_code == 200


def test_pictures_come_as_files_and_as_base64_never_as_paths():
    asker = Asker(Length("image"))
    one = picture()
    answer = run(asker.post(files=[("files", ("../../a/b.png", one)), ("files", ("c.png", one))]))
    assert answer.status_code == 200
    assert answer.json()["names"] == ["b.png", "c.png"]
    assert asker.predictor.seen == [one, one]
    coded = base64.b64encode(one).decode()
    assert run(asker.post(json={"items": [{"b64": coded}, coded]})).status_code == 200
    for bad in ("/etc/passwd", "http://localhost/a.png", "file:///etc/passwd", "", 3, ["a"], {}):
        answer = run(asker.post(json={"item": bad}))
        assert answer.status_code == 422, bad
    assert run(asker.post(json={"item": {"b64": coded, "path": "/etc"}})).status_code == 422
    text = base64.b64encode(b"no picture").decode()
    assert run(asker.post(json={"item": text})).status_code == 422
    assert asker.predictor.seen == [one] * 4


def test_pixels_are_counted_before_anything_is_decoded():
    asker = Asker(Length("image"), limits=Limits(pixels=5000))
    assert run(asker.post(files=[("files", ("a.png", picture(50, 50)))])).status_code == 200
    assert run(asker.post(files=[("files", ("a.png", picture(60, 50)))])).status_code == 413
    assert run(asker.post(files=[("files", ("a.jpg", picture(60, 50, "JPEG")))])).status_code == 200
    assert run(asker.post(files=[("files", ("a.jpg", picture(80, 70, "JPEG")))])).status_code == 413
    bomb = bytearray(picture())
    bomb[16:24] = (60000).to_bytes(4) + (60000).to_bytes(4)
    answer = run(asker.post(files=[("files", ("a.png", bytes(bomb)))]))
    assert answer.status_code in (413, 422)


def test_sounds_are_as_long_as_their_header_says():
    from headstart.serve.reading import Wanted

    asker = Asker(Length("audio"), limits=Limits(seconds_of_sound=0.5))
    second = Wanted("audio", (), Limits()).samples(1)[0]
    answer = run(asker.post(files=[("files", ("a.wav", second))]))
    assert answer.status_code == 413
    assert "1 s long" in error_of(answer)["message"]
    assert run(Asker(Length("audio")).post(files=[("files", ("a", second))])).status_code == 200
    assert run(Asker(Length("audio")).post(files=[("files", ("a", b"RIFF"))])).status_code == 422


def test_explanations():
    asker = Asker(Length())
    answer = run(asker.post("/explain", json={"text": "why"}))
    assert answer.json()["explanation"]["method"] == "occlusion"
    assert run(asker.post("/explain", json={"text": "else"})).status_code == 501
    assert run(asker.post("/explain", json={"items": ["why", "why"]})).status_code == 422


def test_info_and_documentation_are_json_and_complete():
    asker = Asker(Length())
    info = run(asker.get("/info")).json()
    assert info["task"]["classes"] == ["even", 'o"dd']
    assert info["score"] == {"estimate": None}
    assert info["limits"]["items"] == 1000
    told = run(asker.get("/openapi.json")).json()
    assert {"/predict", "/explain", "/corrections", "/info", "/metrics"} <= set(told["paths"])
    docs = run(asker.get("/docs"))
    assert "default-src 'self'" in docs.headers["content-security-policy"]
    assert "http://" not in docs.text
    assert "https://" not in docs.text
    assert run(asker.get("/docs/docs.js")).headers["content-type"].startswith("text/javascript")
    tag = docs.headers["etag"]
    assert run(asker.get("/docs", headers={"If-None-Match": tag})).status_code == 304
    for path in ("/docs/../app.py", "/docs/%2e%2e/app.py", "/static/..%2fapp.py", "/static/no.js"):
        assert run(asker.get(path)).status_code == 404


def test_a_failure_tells_the_caller_nothing_of_the_inside():
    asker = Asker(Length())
    answer = run(asker.post(json={"text": "crash"}))
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "crash" not in asker.log.getvalue()
    assert answer.headers["x-request-id"] in error_of(answer)["hint"]
    assert answer.headers["x-request-id"] in asker.log.getvalue()
    assert run(asker.post(json={"text": "abc"})).status_code == 200


def test_what_is_not_there():
    asker = Asker(Length())
    assert error_of(run(asker.get("/nothing")))["code"] == "not_found"
    answer = run(asker.get("/predict"))
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert run(asker.post("/info")).status_code == 405


def test_limits_must_be_positive():
    with pytest.raises(OptionError, match="above 0"):
        Limits(items=0)
    with pytest.raises(OptionError, match="port"):
        Settings(port=70000)
    with pytest.raises(OptionError, match="workers"):
        Settings(workers=0)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", b"ab\n" * 1_000_000),
        ("a.jsonl", b'"ab"\n' * 1_000_000),
        ("a.jsonl", b"[" + b"[]," * 1_000_000 + b"[]]"),
        ("a.csv", b"ab," * 1_000_000),
        ("a.csv", b"text,n\n" + b"ab," * 1_000_000),
        ("a.csv", b"text,n\n" + (b"ab," * 45_000 + b'"\n",') * 20),
    ],
)
def test_a_file_never_becomes_far_more_in_memory_than_it_is(name, content):
    body = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="%s"\r\n\r\n%s\r\n--x--\r\n'
        % (name.encode(), content)
    )
    wanted = Wanted("text", (), Limits())
    with pytest.raises(Problem):  # loads what it needs
        read_form(b"--x", b"multipart/form-data; boundary=x", wanted)
    tracemalloc.start()
    try:
        with pytest.raises(Problem) as caught:
            read_form(body, b"multipart/form-data; boundary=x", wanted)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.status == 413
    assert most < 6 * len(body) + 16_000_000


def test_a_line_separator_within_json_ends_no_line():
    asker = Asker(Length())
    content = '"one\u2028two"\r\n\r\n"three"\r\n'.encode()
    assert run(asker.post(files=[("files", ("a.jsonl", content))])).status_code == 200
    assert asker.predictor.seen == ["one\u2028two", "three"]
