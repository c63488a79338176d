"""BERT and MPNet as ONNX graphs: token ids and mask in, pooled features out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from headstart.bundle.exporting.graph import Graph, array

_FIRST_PLACE = 2
_NEVER = -1e30  # added to the attention scores of padding


def bert_graph(backbone: Any) -> bytes:
    """Return the graph of a BERT or MPNet backbone, pooled as its card says."""
    graph = Graph()
    first, *layers = backbone.blocks
    real = graph.add("Cast", "mask", to=1)
    away = graph.add("Mul", graph.add("Sub", graph.weight([1.0]), real), graph.weight([_NEVER]))
    away = graph.add("Unsqueeze", away, graph.weight(np.array([1, 2])))
    hidden = _embedded(graph, first)
    if hasattr(first, "relative"):
        away = graph.add("Add", away, _relative(graph, first))
    steps = [hidden]
    for layer in layers:
        hidden = _layer(graph, layer, hidden, away)
        steps.append(hidden)
    found = pooled_layers(graph, backbone.card.input, steps, _pooling(graph, backbone, real))
    shape = ["n", "t"]
    return graph.finished([("ids", "INT64", shape), ("mask", "INT64", shape)], found)


def pooled_layers(graph: Graph, spec: Any, steps: list[str], pool: Callable[[str], str]) -> str:
    """Return what is pooled at the end, or the weighted layers that the card's input asks for."""
    weights = spec.get("layers")
    if weights is None:
        return pool(steps[-1])
    parts = [
        graph.add("Mul", pool(step), graph.weight([float(weight)]))
        for step, weight in zip(steps, weights, strict=True)
        if weight
    ]
    if len(parts) == 1:
        return parts[0]
    return graph.add("Concat", *parts, axis=1) if spec.get("beside") else graph.add("Sum", *parts)


def _embedded(graph: Graph, block: Any) -> str:
    """Word and position embeddings, in a BERT those of the segment too, normalised."""
    places = array(block.position.weight)
    if hasattr(block, "token_type"):
        places = places + array(block.token_type.weight)[0]
    else:
        places = places[_FIRST_PLACE:]  # MPNet counts from behind the padding's own index
    length = graph.add("Gather", graph.add("Shape", "ids"), graph.weight(np.array([1])))
    zero = graph.weight(np.array([0]))
    placed = graph.add("Slice", graph.weight(places), zero, length, zero)
    words = graph.add("Gather", graph.weight(array(block.word.weight)), "ids")
    return _norm(graph, block.norm, graph.add("Add", words, placed))


def _relative(graph: Graph, block: Any) -> str:
    """MPNet's biases (1, heads, t, t) of the distances between tokens."""
    from headstart.sources.mpnet import relative_buckets

    most = block.position.num_embeddings
    buckets = relative_buckets(most, block.relative.num_embeddings).numpy()
    by_distance = np.concatenate([buckets[0, :0:-1], buckets[:, 0]])  # -(most - 1) to most - 1
    table = array(block.relative.weight)[by_distance]
    scalars = [graph.weight(np.array(value)) for value in (0, 1, most - 1)]
    length = graph.add("Gather", graph.add("Shape", "ids"), scalars[1])
    places = graph.add("Range", scalars[0], length, scalars[1])
    across = graph.add("Unsqueeze", places, graph.weight(np.array([0])))
    apart = graph.add("Sub", graph.add("Unsqueeze", places, graph.weight(np.array([1]))), across)
    found = graph.add("Gather", graph.weight(table), graph.add("Add", apart, scalars[2]))
    placed = graph.add("Transpose", found, perm=[2, 0, 1])
    return graph.add("Unsqueeze", placed, graph.weight(np.array([0])))


def _norm(graph: Graph, norm: Any, value: str) -> str:
    weights = graph.weight(array(norm.weight)), graph.weight(array(norm.bias))
    return graph.add("LayerNormalization", value, *weights, axis=-1, epsilon=float(norm.eps))


def _dense(graph: Graph, weight: Any, bias: Any, value: str) -> str:
    return graph.add("Add", graph.add("MatMul", value, graph.weight(weight)), graph.weight(bias))


def _layer(graph: Graph, layer: Any, hidden: str, away: str) -> str:
    """Self-attention and a perceptron, each added and normalised."""
    width = layer.query.weight.shape[0]
    size, heads = width // layer.heads, layer.heads
    scale = 1.0 / math.sqrt(size)
    weight = [array(layer.query.weight) * scale, array(layer.key.weight), array(layer.value.weight)]
    bias = [array(layer.query.bias) * scale, array(layer.key.bias), array(layer.value.bias)]
    all_three = _dense(graph, np.concatenate(weight).T, np.concatenate(bias), hidden)
    parted = graph.add("Reshape", all_three, graph.weight(np.array([0, 0, 3 * heads, size])))
    query, key, value = graph.split(graph.add("Transpose", parted, perm=[0, 2, 1, 3]), 3, 1)
    scores = graph.add("MatMul", query, graph.add("Transpose", key, perm=[0, 1, 3, 2]))
    shares = graph.add("Softmax", graph.add("Add", scores, away), axis=-1)
    seen = graph.add("Transpose", graph.add("MatMul", shares, value), perm=[0, 2, 1, 3])
    flat = graph.add("Reshape", seen, graph.weight(np.array([0, 0, width])))
    out = _dense(graph, array(layer.output.weight).T, array(layer.output.bias), flat)
    hidden = _norm(graph, layer.attention_norm, graph.add("Add", hidden, out))
    inner = graph.add("Gelu", _dense(graph, array(layer.up.weight).T, array(layer.up.bias), hidden))
    out = _dense(graph, array(layer.down.weight).T, array(layer.down.bias), inner)
    return _norm(graph, layer.norm, graph.add("Add", hidden, out))


def _pooling(graph: Graph, backbone: Any, real: str) -> Callable[[str], str]:
    """Return what pools token states (n, t, d) as the card says."""
    spec, one = backbone.card.input, np.array([1])
    weights = graph.add("Unsqueeze", real, graph.weight(np.array([2])))

    def pool(hidden: str) -> str:
        axis = graph.weight(one)
        if spec["pooling"] == "mean":
            total = graph.add("ReduceSum", graph.add("Mul", hidden, weights), axis, keepdims=0)
            count = graph.add("ReduceSum", weights, axis, keepdims=0)
            found = graph.add("Div", total, graph.add("Max", count, graph.weight([1e-9])))
        elif spec["pooling"] == "cls":
            found = graph.add("Gather", hidden, graph.weight(np.array(0)), axis=1)
        else:
            gone = graph.add("Sub", graph.weight([1.0]), weights)
            low = graph.add("Add", hidden, graph.add("Mul", gone, graph.weight([_NEVER])))
            found = graph.add("ReduceMax", low, axis, keepdims=0)
        if not spec["normalise"]:
            return found
        length = graph.add("ReduceL2", found, axis, keepdims=1)
        return graph.add("Div", found, graph.add("Max", length, graph.weight([1e-12])))

    return pool
