"""From a graph to a better graph to a plan: rules and passes, each a function from value to value."""

if __name__ != "symgraph.optimizations":
    raise ImportError(f"{__name__} is imported as symgraph.optimizations")
