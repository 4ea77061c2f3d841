"""ONNX models that somebody or something has spoiled, drawn by a seed: their bytes, and what their messages say."""

import onnx
from onnx import helper

from tests.io import hostile

HUGE = [-1, 0, 1, 2, 63, 2**16, 2**31 - 1, 2**40, 2**62, 2**63 - 1, -(2**31), -(2**63)]
NAMES = [
    "",
    "x",
    "y",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "C:\\x",
    "a\0b",
    "a" * 10_000,
    "\u202e",
    "n\nm",
]
OPERATORS = [
    "Add", "Range", "Expand", "Tile", "ConstantOfShape", "Reshape", "Pad", "Loop", "If", "Scan", "Resize", "Einsum",
    "OneHot", "EyeLike", "Conv", "Gather", "Cast", "TopK", "Concat", "Split", "Slice", "Transpose", "CumSum", "Pow",
    "Wobble", "LSTM", "DFT", "Constant", "Softmax", "Where", "Unique", "NonZero", "MaxPool", "SequenceEmpty",
]  # fmt: skip


def spoiled(content, draw):
    """The bytes of a model with something done to them; never the same bytes."""
    while True:
        found = bytes(draw.choice(BYTES)(bytearray(content), draw))
        if found != content:
            return found


def other_count(data, draw):
    """A count or a number of several bytes where there was one, or none."""
    number = draw.choice([2**28, 2**31, 2**32 - 1, 2**35, 2**63, 2**64 - 1, len(data), 10 * len(data)])
    varint = b""
    while number >= 128:
        varint, number = varint + bytes([number % 128 + 128]), number >> 7
    varint += bytes([number])
    at = draw.randrange(len(data))
    return data[:at] + varint + data[at + draw.choice([0, 1, len(varint)]) :]


def deep(data, draw):
    """A graph in an attribute of a node of a graph, and so on."""
    count = draw.choice([5, 30, 90, 120, 2000])
    inner = b""
    for _ in range(count):  # graph { node { attribute { g { … } } } }
        for field in (b"\x32", b"\x2a", b"\x0a"):
            inner = field + _varint(len(inner)) + inner
    return bytearray(data + b"\x3a" + _varint(len(inner)) + inner)


def _varint(number):
    found = bytearray()
    while number >= 128:
        found.append(number % 128 + 128)
        number >>= 7
    return bytes([*found, number])


def resaid(data, draw):
    """A model that can be read and whose messages say something else, in one place or in several."""
    model = onnx.ModelProto.FromString(bytes(data))
    for _ in range(draw.choice([1, 1, 2, 4])):
        draw.choice(MESSAGES)(model, draw)
    return bytearray(model.SerializeToString())


def messages(message, depth=0):
    """Every message of a message, itself included."""
    yield message
    if depth < 12:
        for field, value in message.ListFields():
            if field.message_type is not None:
                for part in value if _many(field) else [value]:
                    yield from messages(part, depth + 1)


def _many(field):
    return field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED


def other_field(model, draw):
    """A number, a text, bytes or a part that is another, gone, or there very often."""
    message = draw.choice([each for each in messages(model) if each.ListFields()])
    field, value = draw.choice(message.ListFields())
    if _many(field):
        place = draw.randrange(len(value))
        match draw.randrange(4):
            case 0:
                del value[place]
            case 1 if model.ByteSize() < 100_000:
                value.extend([value[place]] * draw.choice([1, 2, 300]))
            case 2 if field.message_type is None:
                value[place] = _another(field, value[place], draw)
            case _ if field.message_type is not None and len(value) > 1:
                value[place].CopyFrom(value[draw.randrange(len(value))])
    elif field.message_type is not None or draw.random() < 0.2:
        message.ClearField(field.name)
    else:
        setattr(message, field.name, _another(field, value, draw))


def _another(field, value, draw):
    if field.type in (field.TYPE_INT64, field.TYPE_INT32, field.TYPE_UINT64, field.TYPE_ENUM):
        choices = [*HUGE, *range(30)]
        if field.type != field.TYPE_INT64:
            choices = [each for each in choices if 0 <= each < 2**31]
        if field.type == field.TYPE_ENUM:
            choices = [each.number for each in field.enum_type.values]
        return draw.choice(choices)
    if field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
        return draw.choice([0.0, -1.0, float("nan"), float("inf"), 1e30])
    if field.type == field.TYPE_BYTES:
        return draw.choice([b"", value[:-1], value * 2, b"\xff\xfe", value[: len(value) // 2]])
    return draw.choice(NAMES + OPERATORS)


def nodes_of(model):
    return [each for each in messages(model) if isinstance(each, onnx.NodeProto)] or [model.graph.node.add()]


def other_operator(model, draw):
    draw.choice(nodes_of(model)).op_type = draw.choice(OPERATORS)


def other_reading(model, draw):
    """A node that reads or makes what another has, so that there are cycles and names that come twice."""
    names = [name for node in nodes_of(model) for name in (*node.input, *node.output)] or [""]
    node = draw.choice(nodes_of(model))
    here = draw.choice([node.input, node.output])
    if here:
        here[draw.randrange(len(here))] = draw.choice(names)
    else:
        here.append(draw.choice(names))


def other_order(model, draw):
    nodes = model.graph.node
    if len(nodes) > 1:
        a, b = draw.sample(range(len(nodes)), 2)
        kept = onnx.NodeProto()
        kept.CopyFrom(nodes[a])
        nodes[a].CopyFrom(nodes[b])
        nodes[b].CopyFrom(kept)


def other_tensor(model, draw):
    """Sizes, a dtype or a place that a tensor does not have."""
    tensors = [each for each in messages(model) if isinstance(each, onnx.TensorProto)]
    if not tensors:
        return
    tensor = draw.choice(tensors)
    match draw.randrange(4):
        case 0:
            del tensor.dims[:]
            tensor.dims.extend(draw.choice(HUGE) for _ in range(draw.choice([1, 2, 3, 40])))
            if draw.random() < 0.5:
                tensor.raw_data = b""
        case 1:
            tensor.data_type = draw.choice(range(26))
        case 2:
            tensor.data_location = onnx.TensorProto.EXTERNAL
            for key in ("location", "offset", "length"):
                if draw.random() < 0.7:
                    entry = tensor.external_data.add()
                    entry.key, entry.value = (
                        key,
                        draw.choice([*NAMES, "data.bin", *map(str, HUGE), "nan", "1e3"]),
                    )
        case _:
            values = [draw.choice(HUGE) for _ in range(draw.choice([1, 2, 4]))]
            made = helper.make_tensor(tensor.name, onnx.TensorProto.INT64, [len(values)], values)
            tensor.CopyFrom(made)


def other_sizes(model, draw):
    """An input of another shape, of a huge one, of many axes, or of none that is said."""
    info = draw.choice([*model.graph.input, *model.graph.output] or [model.graph.input.add()])
    shape = info.type.tensor_type.shape
    if draw.random() < 0.3:
        info.type.tensor_type.ClearField("shape")
        return
    del shape.dim[:]
    for _ in range(draw.choice([0, 1, 2, 3, 70])):
        size = draw.choice([*HUGE, "n", "m", "a b", "max", "import os"])
        setattr(shape.dim.add(), "dim_value" if isinstance(size, int) else "dim_param", size)


def own_function(model, draw):
    """Functions of the model's that call one another, themselves, or twice what is below, and so on."""
    count = draw.choice([1, 2, 10, 40])
    for k in range(count):
        callee = f"F{(k + draw.choice([0, 1])) % count}" if draw.random() < 0.2 else f"F{k + 1}"
        body = [
            helper.make_node(callee, ["a"], ["b"], domain="own"),
            helper.make_node(callee, ["b"], ["c"], domain="own"),
        ]
        if k == count - 1 and draw.random() < 0.7:
            body = [helper.make_node("Add", ["a", "a"], ["c"])]
        imports = [helper.make_opsetid("", 21), helper.make_opsetid("own", 1)]
        model.functions.append(helper.make_function("own", f"F{k}", ["a"], ["c"], body, imports))
    model.opset_import.append(helper.make_opsetid("own", 1))
    node = draw.choice(nodes_of(model))
    node.op_type, node.domain = "F0", "own"


def inner_graph(model, draw):
    """The graph of the model as the body of one of its nodes."""
    graph = onnx.GraphProto()
    graph.CopyFrom(model.graph)
    node = draw.choice(nodes_of(model))
    node.op_type = draw.choice(["Loop", "If", "Scan", node.op_type])
    for name in draw.choice([["body"], ["then_branch", "else_branch"], ["then_branch"]]):
        attribute = node.attribute.add()
        attribute.name, attribute.type = name, onnx.AttributeProto.GRAPH
        attribute.g.CopyFrom(graph)


def _levels(graph):
    """How deep graphs stand in one another; protobuf reads no more than 33."""
    inner = [each.g for node in graph.node for each in node.attribute if each.HasField("g")]
    return 1 + max(map(_levels, inner), default=0)


def nested(model, draw):
    """The nodes of the model inside branches, and those in branches, and so on."""
    for _ in range(draw.choice([1, 3, 10, 25])):
        inner = onnx.GraphProto()
        inner.CopyFrom(model.graph)
        del inner.input[:], inner.initializer[:]
        ways = dict.fromkeys(
            draw.choice([["then_branch", "else_branch"], ["else_branch", "then_branch"]]), inner
        )
        if inner.ByteSize() > 200_000 or _levels(inner) > 25:
            return
        names = [each.name for each in model.graph.output]
        holder = helper.make_node("If", ["condition"], names)
        holder.attribute.extend(helper.make_attribute(name, graph) for name, graph in ways.items())
        if draw.random() < 0.7:  # else a graph for every way at every level
            holder.attribute[1].g.CopyFrom(onnx.GraphProto(name="e", output=inner.output))
            for name in names:
                holder.attribute[1].g.node.append(helper.make_node("Identity", ["x"], [name]))
        del model.graph.node[:]
        model.graph.node.append(holder)
    info = helper.make_tensor_value_info("condition", onnx.TensorProto.BOOL, [])
    if draw.random() < 0.8:
        model.graph.input.append(info)
    else:
        model.graph.initializer.append(helper.make_tensor("condition", onnx.TensorProto.BOOL, [], [True]))


BYTES = [
    hostile.flipped, hostile.flipped, hostile.flipped_early, hostile.cut, hostile.grown, hostile.zeroed, hostile.moved,
    hostile.other_file, other_count, other_count, deep, *[resaid] * 12,
]  # fmt: skip
MESSAGES = [
    other_field, other_field, other_field, other_field, other_operator, other_operator, other_reading, other_order,
    other_tensor, other_tensor, other_sizes, own_function, inner_graph, nested,
]  # fmt: skip
