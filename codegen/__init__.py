"""From a kernel to loops to text: the loop IR, and one printer per target."""

if __name__ != "symgraph.codegen":
    raise ImportError(f"{__name__} is imported as symgraph.codegen")
