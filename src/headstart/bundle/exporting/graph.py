"""ONNX graphs put together node by node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headstart._version import __version__
from headstart.core.types import AnyArray

OPSET = 20
IR = 9
"""Read by onnxruntime 1.18 and later."""


class Graph:
    """Nodes and weights of a graph that grows; values are known by their names."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._weights: list[Any] = []
        self._count = 0

    def weight(self, array: Any) -> str:
        """Add a weight, float32 or integers, and return its name."""
        from onnx import numpy_helper

        self._count += 1
        name = f"w{self._count}"
        values = np.array(array, order="C")
        if values.dtype.kind == "f":
            values = values.astype(np.float32)
        self._weights.append(numpy_helper.from_array(values, name))
        return name

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add an operation and return the name of its first output."""
        from onnx import helper

        self._count += 1
        name = f"v{self._count}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def split(self, value: str, parts: int, axis: int) -> list[str]:
        """Split a value into equal parts and return their names."""
        from onnx import helper

        self._count += 1
        names = [f"v{self._count}_{place}" for place in range(parts)]
        self._nodes.append(helper.make_node("Split", [value], names, axis=axis, num_outputs=parts))
        return names

    def finished(self, inputs: Sequence[tuple[str, str, Sequence[Any]]], output: str) -> bytes:
        """Return the bytes of the graph.

        Parameters
        ----------
        inputs : sequence of (name, type, shape)
            Types by their ONNX names ("INT64"); sides are numbers, or names where they are free.
        output : str
            The value to hand out, called ``features``; of shape (n, d).
        """
        from onnx import TensorProto, helper

        self._nodes.append(helper.make_node("Identity", [output], ["features"]))
        taken = [
            helper.make_tensor_value_info(name, getattr(TensorProto, kind), list(shape))
            for name, kind, shape in inputs
        ]
        made = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", None])
        graph = helper.make_graph(self._nodes, "headstart", taken, [made], self._weights)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR,
            producer_name="headstart",
            producer_version=__version__,
        )
        raw: bytes = model.SerializeToString()
        return raw


def array(tensor: Any) -> AnyArray:
    """Return a tensor of torch as a float32 array."""
    values: AnyArray = tensor.detach().cpu().float().numpy()
    return values
