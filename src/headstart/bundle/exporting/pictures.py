"""Convolutional networks as ONNX graphs: pixels as uint8 in, pooled features out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from headstart.bundle.exporting.graph import Graph, array
from headstart.bundle.exporting.texts import pooled_layers
from headstart.core.types import AnyArray


def normalised(graph: Graph, spec: Mapping[str, Any]) -> str:
    """Add the input ``pixels`` (n, side, side, 3) of uint8, normalised as the card says."""
    mean, std = (np.array(spec[name], dtype=np.float32) for name in ("mean", "std"))
    values = graph.add("Transpose", graph.add("Cast", "pixels", to=1), perm=[0, 3, 1, 2])
    scale, shift = ((1 / (255 * std)).reshape(1, 3, 1, 1), (-mean / std).reshape(1, 3, 1, 1))
    scaled = graph.add("Mul", values, graph.weight(scale))
    return graph.add("Add", scaled, graph.weight(shift))


def lite_graph(backbone: Any) -> bytes:
    """Return the graph of an EfficientNet-Lite backbone, or of a part of one."""
    graph, side = Graph(), int(backbone.card.input["size"])
    value, now, steps = normalised(graph, backbone.card.input), side, []
    for block in backbone.blocks:
        if hasattr(block, "depthwise"):
            value, now = _inverted(graph, block, value, now)
        else:
            value, now = _convolved(graph, block, value, now)
        steps.append((value, now))
    sides = dict(steps)

    def pool(step: str) -> str:
        return _pooled(graph, step, sides[step], backbone.grid)

    found = pooled_layers(graph, backbone.card.input, [step for step, _ in steps], pool)
    return graph.finished([("pixels", "UINT8", ["n", side, side, 3])], found)


def conv4_graph(backbone: Any) -> bytes:
    """Return the graph of a Conv-4 backbone, or of its first blocks."""
    graph, side = Graph(), int(backbone.card.input["size"])
    value = normalised(graph, backbone.card.input)
    for block in backbone.blocks:
        weight, bias = _folded(block.conv.weight, block.bn)
        value = graph.add("Relu", _conv(graph, value, weight, bias, pads=[1, 1, 1, 1]))
        value = graph.add("MaxPool", value, kernel_shape=[2, 2], strides=[2, 2])
    found = graph.add("Flatten", value, axis=1)
    return graph.finished([("pixels", "UINT8", ["n", side, side, 3])], found)


def small_graph(weights: Mapping[str, AnyArray], side: int) -> bytes:
    """Return the graph of the small network that is trained without a source.

    Parameters
    ----------
    weights : mapping of name to ndarray
        As its ``state_dict`` names them.
    side : int
        Of the pixels, float32 of -1 to 1, (n, 3, side, side).
    """
    graph, value = Graph(), "pixels"
    places = sorted({int(name.split(".")[0]) for name in weights})
    *firsts, last = [place for place in places if weights[f"{place}.weight"].ndim in (2, 4)]
    for place in firsts:
        norm = {
            name: weights[f"{place + 1}.{name}"]
            for name in ("weight", "bias", "running_mean", "running_var")
        }
        factor = norm["weight"] / np.sqrt(norm["running_var"] + 1e-5)
        kernel = weights[f"{place}.weight"] * factor[:, None, None, None]
        bias = norm["bias"] - norm["running_mean"] * factor
        value = graph.add("Relu", _conv(graph, value, kernel, bias, pads=[1, 1, 1, 1]))
        pool = "AveragePool" if place == firsts[-1] else "MaxPool"
        value = graph.add(pool, value, kernel_shape=[2, 2], strides=[2, 2])
    flat = graph.add("Flatten", value, axis=1)
    out = [graph.weight(weights[f"{last}.{name}"]) for name in ("weight", "bias")]
    found = graph.add("Gemm", flat, *out, transB=1)
    return graph.finished([("pixels", "FLOAT", ["n", 3, side, side])], found)


def _folded(kernel: Any, norm: Any) -> tuple[AnyArray, AnyArray]:
    """Return kernel and bias with batch norm folded in."""
    factor = array(norm.weight).astype(np.float64) / np.sqrt(array(norm.running_var) + norm.eps)
    weight = array(kernel) * factor[:, None, None, None]
    return weight, array(norm.bias) - array(norm.running_mean) * factor


def _conv(graph: Graph, value: str, kernel: AnyArray, bias: AnyArray, **attributes: Any) -> str:
    return graph.add("Conv", value, graph.weight(kernel), graph.weight(bias), **attributes)


def _convolved(graph: Graph, block: Any, value: str, now: int) -> tuple[str, int]:
    """Add a convolution with batch norm, padded as TensorFlow pads; and its new side."""
    conv = block.conv
    size, stride = conv.kernel_size[0], conv.stride[0]
    after = -(-now // stride)
    extra = max((after - 1) * stride + size - now, 0) if stride > 1 else 2 * (size // 2)
    pads = [extra // 2, extra // 2, extra - extra // 2, extra - extra // 2]
    weight, bias = _folded(conv.weight, block.bn)
    value = _conv(
        graph, value, weight, bias, pads=pads, strides=[stride, stride], group=conv.groups
    )
    if block.act:
        value = graph.add("Clip", value, graph.weight(np.float32(0)), graph.weight(np.float32(6)))
    return value, after


def _inverted(graph: Graph, block: Any, value: str, now: int) -> tuple[str, int]:
    """Add an inverted residual."""
    found, side = value, now
    for part in (block.expand, block.depthwise, block.project):
        if hasattr(part, "conv"):
            found, side = _convolved(graph, part, found, side)
    return (graph.add("Add", value, found) if block.residual else found), side


def _pooled(graph: Graph, value: str, side: int, grid: int) -> str:
    """Add the mean over all places, or over each part of the picture."""
    if grid == 1:
        return graph.add("Flatten", graph.add("GlobalAveragePool", value), axis=1)
    shares = np.zeros((grid, side))
    for place in range(grid):
        first, beyond = place * side // grid, -(-(place + 1) * side // grid)
        shares[place, first:beyond] = 1.0 / (beyond - first)
    across = graph.add("MatMul", value, graph.weight(shares.T))
    return graph.add("Flatten", graph.add("MatMul", graph.weight(shares), across), axis=1)
