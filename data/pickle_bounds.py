"""Counts, by its opcodes, the objects that a pickle would build, so that none crashes the process or fills memory.

An unpickler trusts its input: nine bytes make it reserve gigabytes, and a hundred thousand nested tuples overflow the
C stack of any function that looks at them afterwards.
"""

import pickletools
from collections.abc import Callable, Sequence
from pickle import UnpicklingError
from typing import Any, BinaryIO, NamedTuple

MAX_DEPTH = 50
MAX_REPEATED_BYTES = 10**8
"""The maximum size of all objects that a pickle refers to again, since a call may copy them each time."""
INCONSISTENT = "its opcodes are inconsistent"


def check_pickle(file: BinaryIO, max_objects: int) -> None:
    """Raises UnpicklingError for a pickle, at the file's position, that would build too much. Restores the position.

    The limits are `max_objects`, MAX_DEPTH, the bytes in the file and MAX_REPEATED_BYTES. A pickle that breaks off or
    holds an unknown opcode passes, since the unpickler fails at the same position.
    """
    start = file.tell()
    length = file.seek(0, 2)
    file.seek(start)
    pickle = _Pickle(file, length, max_objects)
    while pickle.step():
        pass
    file.seek(start)


class ClosedFunction:
    """A function or class that a pickle may call, but not change or look into."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setstate__(self, state: object) -> None:
        raise UnpicklingError("refused: it changes a function")


class _Opcode(NamedTuple):
    name: str
    arg_length: int | None
    """The argument's length in bytes, or one of pickletools' negative codes; None without an argument."""
    takes: int
    """The number of objects taken from the top of the stack, or from below a mark."""
    takes_marked: bool
    """Whether everything above the last mark is taken too."""
    gives: int


def _opcode(info: pickletools.OpcodeInfo) -> _Opcode:
    has_mark = pickletools.markobject in info.stack_before
    takes = [kind for kind in info.stack_before if kind not in (pickletools.markobject, pickletools.stackslice)]
    gives = [kind for kind in info.stack_after if kind is not pickletools.markobject]
    return _Opcode(info.name, info.arg and info.arg.n, 0 if info.name == "OBJ" else len(takes), has_mark, len(gives))


_OPCODES = {info.code.encode("latin-1"): _opcode(info) for info in pickletools.opcodes}
_ADDING = {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"}
_WIDTHS = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}


class _Built:
    """A placeholder of an object: its depth and the size of its contents, in which repeated parts count each time."""

    __slots__ = ("depth", "is_done", "size")

    def __init__(self, size: int, parts: Sequence["_Built"] = ()) -> None:
        self.size, self.depth = size, 0
        self.is_done = False
        """Whether another object refers to it, which would not count parts that are added later."""
        self.add(parts)

    def add(self, parts: Sequence["_Built"]) -> None:
        if self.is_done:
            raise UnpicklingError("it adds to an object that is in use already, which may then contain itself")
        self.size += sum(part.size for part in parts)
        self.depth = max([self.depth, *(1 + part.depth for part in parts)])
        if self.depth > MAX_DEPTH:
            raise UnpicklingError(f"its objects are nested more than {MAX_DEPTH} deep")


class _Pickle:
    """The stack, marks and memo that an unpickler would have, with _Built instead of objects."""

    def __init__(self, file: BinaryIO, length: int, max_objects: int) -> None:
        self.file, self.length, self.max_objects = file, length, max_objects
        self.stack: list[_Built] = []
        self.marks: list[int] = []
        self.memo: dict[int, _Built] = {}
        self.num_opcodes = self.num_repeated_bytes = 0

    def step(self) -> bool:
        """Follows one opcode. Returns False at the end, and at an unknown opcode."""
        opcode = _OPCODES.get(self.file.read(1))
        if opcode is None or opcode.name == "STOP":
            return False
        self.num_opcodes += 1
        if self.num_opcodes > 3 * self.max_objects:  # an object has up to two more: its mark and its memo entry
            raise UnpicklingError(f"it holds more than {self.max_objects:,} objects")
        size, index = self._argument(opcode)
        if opcode.name == "MARK":
            self.marks.append(len(self.stack))
        elif opcode.name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self._keep(len(self.memo) if opcode.name == "MEMOIZE" else index)
        elif opcode.name in ("GET", "BINGET", "LONG_BINGET", "DUP"):
            self._repeat(self._top() if opcode.name == "DUP" else self.memo.get(index))
        elif opcode.name == "POP" and self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        elif opcode.name != "READONLY_BUFFER":
            self._build(opcode, size)
        return True

    def _build(self, opcode: _Opcode, size: int) -> None:
        start = len(self.stack)
        if opcode.takes_marked:
            start = self.marks.pop() if self.marks else -1
        start -= opcode.takes
        if start < (self.marks[-1] if self.marks else 0):
            raise UnpicklingError(INCONSISTENT)
        taken = self.stack[start:]
        del self.stack[start:]
        if opcode.name in _ADDING:
            taken[0].add(taken[1:])
            self.stack.append(taken[0])
        elif opcode.gives:
            self.stack.append(_Built(1 + size, taken))

    def _keep(self, index: int) -> None:
        if not 0 <= index <= self.num_opcodes:  # the memo is an array: it takes memory for all smaller numbers too
            raise UnpicklingError(f"it numbers an object {index:,}, of {self.num_opcodes:,}")
        self.memo[index] = self._top()

    def _repeat(self, found: _Built | None) -> None:
        if found is None:
            raise UnpicklingError("it refers to an object that it does not have")
        found.is_done = True
        self.num_repeated_bytes += found.size
        if self.num_repeated_bytes > MAX_REPEATED_BYTES:
            raise UnpicklingError("it holds the same objects too often")
        self.stack.append(found)

    def _top(self) -> _Built:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise UnpicklingError(INCONSISTENT)
        return self.stack[-1]

    def _argument(self, opcode: _Opcode) -> tuple[int, int]:
        """Returns the argument's length in bytes, and its value as a number, or 0."""
        if opcode.arg_length is None:
            return 0, 0
        if opcode.arg_length == pickletools.UP_TO_NEWLINE:
            line = self.file.readline()
            if opcode.name in ("GLOBAL", "INST"):
                line += self.file.readline()
            return len(line), int(line) if opcode.name in ("GET", "PUT") else 0
        number = int.from_bytes(self.file.read(_WIDTHS.get(opcode.arg_length, opcode.arg_length)), "little")
        if opcode.arg_length in _WIDTHS:
            self._check_left(number)
            self.file.seek(number, 1)
            return number, 0
        if opcode.name == "FRAME":
            self._check_left(number)
        return opcode.arg_length, number

    def _check_left(self, num_bytes: int) -> None:
        if num_bytes > self.length - self.file.tell():
            raise UnpicklingError("it is truncated: it promises more bytes than there are")
