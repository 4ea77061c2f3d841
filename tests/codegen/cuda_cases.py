"""Steps of CUDA C on arrays that lie between bytes that nobody may write."""

import numpy as np

from symgraph.graph.binding import evaluate_dim
from symgraph.runtime.memory import Memory


class Case:
    """A step as code, and the arrays that it reads; its result and its room are full of garbage.

    The result may lie ``over`` the array that has this place.
    """

    def __init__(self, node, made, sizes, read, over=None):
        self.node, self.made, self.sizes, self._read, self._over = node, made, sizes, read, over
        self._shape = tuple(evaluate_dim(size, sizes) for size in node.shape)

    def kernels(self):
        return self.made.kernels_for(self._lying()[0], self.sizes)

    def run(self):
        lying, memory = self._lying()
        y = lying[-1]
        room = self.made.needs(self.sizes).room
        arena = Memory().arena(room + 512)
        arena.memory[...] = 0xA5
        self.made.call(lying, self.sizes, 256)(lying, arena)
        for guarded, inside in ((memory, y.nbytes), (arena.memory, room)):
            assert (guarded[:256] == 0xA5).all()
            assert (guarded[256 + inside :] == 0xA5).all()
        return y

    def _lying(self):
        size = int(np.prod(self._shape)) * self.node.dtype.itemsize
        memory = np.full(size + 1024, 0xA5, np.uint8)
        start = -memory.ctypes.data % 256
        memory = memory[start : start + size + 512]
        y = np.ndarray(self._shape, self.node.dtype, memory, 256)
        read = list(self._read)
        if self._over is not None:
            y[...] = read[self._over]
            read[self._over] = y
        return [*read, y], memory
