"""The operations on sizes, by their names."""

from symgraph.graph.dims import dim_max, dim_min

OPERATIONS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "max": dim_max,
    "min": dim_min,
}
