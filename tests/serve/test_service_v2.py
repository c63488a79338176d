"""The Open Inference Protocol."""

from __future__ import annotations

import asyncio

import pytest
from service_fakes import CLASSES, Asker, Length, Number

from headstart.serve import Limits


def run(coroutine):
    return asyncio.run(coroutine)


def tensor(data, name="text", kind="BYTES", shape=None):
    return {"name": name, "datatype": kind, "shape": shape or [len(data)], "data": data}


def infer(asker, body, name="model"):
    return run(asker.post(f"/v2/models/{name}/infer", json=body))


def test_texts():
    asker = Asker(Length())
    answer = infer(asker, {"id": "7", "inputs": [tensor(["ab", "abc"])]})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["id"], found["model_name"], found["model_version"]) == (
        "7",
        "model",
        "abcdef012345",
    )
    outputs = {one["name"]: one for one in found["outputs"]}
    assert outputs["label"] == {
        "name": "label",
        "datatype": "BYTES",
        "shape": [2],
        "data": list(CLASSES),
    }
    assert outputs["probabilities"]["shape"] == [2, 2]
    assert outputs["probabilities"]["data"] == [1.0, 0.0, 0.0, 1.0]
    assert outputs["abstained"]["data"] == [False, False]


def test_versions_and_chosen_outputs():
    asker = Asker(Length())
    body = {"inputs": [tensor([["ab"]], shape=[1, 1])], "outputs": [{"name": "label"}]}
    answer = run(asker.post("/v2/models/model/versions/abcdef012345/infer", json=body))
    assert [one["name"] for one in answer.json()["outputs"]] == ["label"]
    assert run(asker.post("/v2/models/model/versions/1/infer", json=body)).status_code == 404


def test_numbers():
    found = infer(Asker(Number()), {"inputs": [tensor(["abc"])]}).json()["outputs"]
    assert found == [{"name": "label", "datatype": "FP64", "shape": [1], "data": [3.0]}]


class Rows(Length):
    def predict(self, items):
        self.seen += items
        return super().predict(["x"] * len(items))


def test_tables_have_an_input_a_column():
    asker = Asker(Rows("table", (("width", "number"), ("colour", "category"))))
    inputs = [tensor([1.5, None], "width", "FP64"), tensor(["red", "blue"], "colour")]
    assert infer(asker, {"inputs": inputs}).status_code == 200
    assert asker.predictor.seen[0] == {"width": 1.5, "colour": "red"}
    told = run(asker.get("/v2/models/model")).json()
    assert [one["datatype"] for one in told["inputs"]] == ["FP64", "BYTES"]
    uneven = [tensor([1.5], "width", "FP64"), tensor(["red", "blue"], "colour")]
    assert infer(asker, {"inputs": uneven}).status_code == 400
    twice = [tensor([1.5], "width", "FP64")] * 2
    assert infer(asker, {"inputs": twice}).status_code == 400
    assert infer(asker, {"inputs": inputs[:1]}).status_code == 422


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ([], 400),
        ({}, 400),
        ({"inputs": []}, 400),
        ({"inputs": [3]}, 400),
        ({"inputs": [tensor(["a"], kind="STRING")]}, 400),
        ({"inputs": [tensor(["a"], kind="FP32")]}, 400),
        ({"inputs": [tensor([True], kind="INT64")]}, 400),
        ({"inputs": [tensor([1], kind="BOOL")]}, 400),
        ({"inputs": [tensor([1], kind="INT64")]}, 422),
        ({"inputs": [tensor(["a"], shape=[2])]}, 400),
        ({"inputs": [tensor(["a"], shape=[1, 2])]}, 400),
        ({"inputs": [tensor(["a"], shape=["1"])]}, 400),
        ({"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": "a"}]}, 400),
        ({"inputs": [{"datatype": "BYTES", "shape": [1], "data": ["a"]}]}, 400),
        ({"inputs": [tensor(["a"]), tensor(["a"], "b")]}, 400),
        ({"inputs": [tensor(["a"] * 6)]}, 413),
        ({"inputs": [tensor(["a"])] * 9}, 413),
        ({"inputs": [tensor(["a"])], "id": 3}, 400),
        ({"inputs": [tensor(["a"])], "outputs": [{"name": "no"}]}, 400),
        ({"inputs": [tensor(["a"])], "outputs": 3}, 400),
    ],
)
def test_bad_requests_are_told_in_one_text(body, status):
    answer = infer(Asker(Length(), limits=Limits(items=5, columns=8)), body)
    assert answer.status_code == status
    assert isinstance(answer.json()["error"], str)


def test_binary_tensors_are_not_taken():
    headers = {"Inference-Header-Content-Length": "10"}
    answer = run(
        Asker(Length()).post("/v2/models/model/infer", json={"inputs": []}, headers=headers)
    )
    assert answer.status_code == 415


def test_health_and_names():
    asker = Asker(Length(), name="reviews")
    assert run(asker.get("/v2")).json()["name"] == "headstart"
    assert run(asker.get("/v2/health/live")).json() == {"live": True}
    assert run(asker.get("/v2/health/ready")).json() == {"ready": True}
    assert run(asker.get("/v2/models/reviews/ready")).json()["ready"] is True
    assert run(asker.get("/v2/models/other")).status_code == 404
    assert run(asker.get("/v2/models/reviews/infer")).status_code == 405
    assert infer(asker, {"inputs": [tensor(["a"])]}, "other").status_code == 404
    asker.service.drain()
    for path in ("/readyz", "/v2/health/ready", "/v2/models/reviews/ready"):
        answer = run(asker.get(path))
        assert answer.status_code == 503
        assert answer.headers["connection"] == "close"
    assert run(asker.get("/healthz")).status_code == 200
