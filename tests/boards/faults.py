"""Faults between the driver and an accelerator: boards that another stands behind."""

from typing import Any

import numpy as np


class Faulty:
    """A board that does what another does; subclasses change something of it."""

    def __init__(self, board: Any) -> None:
        self.board = board

    def __getattr__(self, name: str) -> Any:
        return getattr(self.board, name)


class StuckSending(Faulty):
    """The first transfer to the accelerator stops after some bytes, until a reset of the DMA."""

    def __init__(self, board: Any, moved: int) -> None:
        super().__init__(board)
        self.left, self.stuck, self.rest = moved, False, np.empty(0, np.uint8)

    def send(self, data: np.ndarray) -> None:
        self.stuck = data.nbytes > self.left
        self.board.send(data)

    def run(self, cycles: int) -> int:
        if not self.stuck:
            return self.board.run(cycles)
        for _ in range(cycles):
            if self.board.sent() >= self.left:
                break
            self.board.run(1)
        return cycles

    def send_done(self) -> bool:
        return not self.stuck and self.board.send_done()

    def abort(self) -> None:
        self.stuck, self.left = False, 1 << 62
        self.board.abort()


class StuckReceiving(Faulty):
    """The first transfer from the accelerator never begins, until a reset of the DMA."""

    stuck = True

    def receive(self, data: np.ndarray) -> None:
        if not self.stuck:
            self.board.receive(data)

    def receive_done(self) -> bool:
        return not self.stuck and self.board.receive_done()

    def run(self, cycles: int) -> int:
        self.board.run(cycles)
        return cycles

    def abort(self) -> None:
        self.stuck = False
        self.board.abort()


class OtherLength(Faulty):
    """The first transfer to the accelerator has some bytes more, or less, than it should."""

    def __init__(self, board: Any, more: int) -> None:
        super().__init__(board)
        self.more = more

    def send(self, data: np.ndarray) -> None:
        size, self.more = data.nbytes + self.more, 0
        self.board.send(np.resize(data, size))


class Interrupted(Faulty):
    """Ctrl-C comes after some calls that let time pass."""

    def __init__(self, board: Any, calls: int) -> None:
        super().__init__(board)
        self.calls = calls

    def run(self, cycles: int) -> int:
        self.calls -= 1
        if self.calls == 0:
            raise KeyboardInterrupt
        return self.board.run(cycles)


class OtherRegister(Faulty):
    """A register reads as something else."""

    def __init__(self, board: Any, offset: int, value: int) -> None:
        super().__init__(board)
        self.offset, self.value = offset, value

    def read(self, offset: int) -> int:
        return self.value if offset == self.offset else self.board.read(offset)


class WrongLabel(Faulty):
    """The first label of every transfer is one that no class has."""

    sink = np.zeros(1, np.uint8)

    def receive(self, data: np.ndarray) -> None:
        self.sink = data
        self.board.receive(data)

    def run(self, cycles: int) -> int:
        ran = self.board.run(cycles)
        if self.board.receive_done():
            self.sink[0] = 200
        return ran
