"""The instructions of pickles, protocols 0 to 5, carried out on plain data only.

The format is that of Python's `pickletools`. No name in a pickle is ever looked up: what
`find_name` has a stand-in for is made by this package's own code, everything else is refused. So
there is no call that a pickle could turn into another one.
"""

import struct
from typing import Any

from embedding_assets.apps.pickle_arrays import Blank, DType, Name
from embedding_assets.apps.pickle_ledger import Ledger, NotPlainError, OverdrawnError, UnfitError
from embedding_assets.apps.pickle_names import DICT_ITEM_BYTES, SET_ITEM_BYTES, find_name
from embedding_assets.apps.pickle_values import CONTAINER, SLOT, VALUES, Tape

_STOP = ord(".")
_NEWEST_PROTOCOL = 5


class Machine(Tape):
    """The state between two instructions. start: where the current one stands."""

    def __init__(self, content: bytes, ledger: Ledger) -> None:
        super().__init__(content, ledger)
        self.start = 0
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self, opcodes: int) -> Any:
        """What the pickle holds.

        Raises NotPlainError, OverdrawnError, also after so many `opcodes`, and for what is not
        well formed ValueError, IndexError, KeyError and struct.error.
        """
        content, ledger = self.content, self.ledger
        for _ in range(opcodes):
            self.start = self.at
            code = content[self.at]
            self.at += 1
            if code == _STOP:
                return self._result()
            carry_out, cost = _INSTRUCTIONS[code]
            carry_out(self)
            ledger.free -= cost
            if ledger.free < 0:
                ledger.charge(0)
        raise OverdrawnError(f"it has more than {opcodes:,} instructions")

    def above_mark(self) -> list[Any]:
        """Takes what lies above the last mark from the stack."""
        start = self.marks.pop()
        taken = self.stack[start:]
        del self.stack[start:]
        return taken

    def _result(self) -> Any:
        if len(self.stack) != 1:
            raise UnfitError(f"it ends with {len(self.stack)} objects instead of one")
        if self.at < len(self.content):
            raise UnfitError(f"{len(self.content) - self.at:,} bytes follow its end")
        return self.stack[0]


def _proto(machine: Machine) -> None:
    version = machine.take(1)[0]
    if version > _NEWEST_PROTOCOL:
        raise UnfitError(f"it has protocol {version}, the newest known is {_NEWEST_PROTOCOL}")


def _frame(machine: Machine) -> None:
    (size,) = struct.unpack("<Q", machine.take(8))
    if machine.at + size > len(machine.content):
        raise UnfitError(f"it is cut off: a frame of {size:,} bytes reaches beyond its end")


def _mark(machine: Machine) -> None:
    machine.marks.append(len(machine.stack))


def _pop(machine: Machine) -> None:
    if machine.marks and machine.marks[-1] == len(machine.stack):
        machine.marks.pop()
    else:
        machine.stack.pop()


def _pop_mark(machine: Machine) -> None:
    machine.above_mark()


def _dup(machine: Machine) -> None:
    machine.stack.append(machine.stack[-1])


def _put(machine: Machine) -> None:
    machine.memo[machine.decimal()] = machine.stack[-1]


def _binput(machine: Machine) -> None:
    machine.memo[machine.content[machine.at]] = machine.stack[-1]
    machine.at += 1


def _long_binput(machine: Machine) -> None:
    machine.memo[machine.size("<I")] = machine.stack[-1]


def _memoize(machine: Machine) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _get(machine: Machine) -> None:
    _recall(machine, machine.decimal())


def _binget(machine: Machine) -> None:
    _recall(machine, machine.content[machine.at])
    machine.at += 1


def _long_binget(machine: Machine) -> None:
    _recall(machine, machine.size("<I"))


def _recall(machine: Machine, index: int) -> None:
    value = machine.memo[index]
    if type(value) is Blank and value.array is not None:
        value = value.array
    machine.stack.append(value)


def _append(machine: Machine) -> None:
    value = machine.stack.pop()
    _under(machine, list).append(value)


def _appends(machine: Machine) -> None:
    values = machine.above_mark()
    _under(machine, list).extend(values)


def _list(machine: Machine) -> None:
    machine.stack.append(machine.above_mark())


def _tuple(machine: Machine) -> None:
    machine.stack.append(tuple(machine.above_mark()))


def _tuple1(machine: Machine) -> None:
    machine.stack[-1:] = [(machine.stack[-1],)]


def _tuple2(machine: Machine) -> None:
    machine.stack[-2:] = [(machine.stack[-2], machine.stack[-1])]


def _tuple3(machine: Machine) -> None:
    machine.stack[-3:] = [(machine.stack[-3], machine.stack[-2], machine.stack[-1])]


def _dict(machine: Machine) -> None:
    items = machine.above_mark()
    machine.stack.append({})
    _set_items(machine, items)


def _setitem(machine: Machine) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    _set_items(machine, [key, value])


def _setitems(machine: Machine) -> None:
    _set_items(machine, machine.above_mark())


def _set_items(machine: Machine, items: list[Any]) -> None:
    if len(items) % 2:
        raise UnfitError("a dict has a key without a value")
    keys, ledger = items[::2], machine.ledger
    ledger.charge(DICT_ITEM_BYTES * len(keys))
    for key in keys:
        if type(key) is not str:
            ledger.require_key(key)
    _under(machine, dict).update(zip(keys, items[1::2], strict=True))


def _additems(machine: Machine) -> None:
    items = _checked(machine)
    _under(machine, set).update(items)


def _make_frozenset(machine: Machine) -> None:
    machine.stack.append(frozenset(_checked(machine)))


def _checked(machine: Machine) -> list[Any]:
    """What lies above the mark, if it may be in a set."""
    items = machine.above_mark()
    machine.ledger.charge(SET_ITEM_BYTES * (2 + len(items)))
    for item in items:
        machine.ledger.require_key(item)
    return items


def _under(machine: Machine, kind: type) -> Any:
    """The container on the stack, which must be of this kind and no other."""
    container = machine.stack[-1]
    if type(container) is not kind:
        raise UnfitError(f"items of a {kind.__name__} go to a {type(container).__name__}")
    return container


def _global(machine: Machine) -> None:
    machine.stack.append(_named(machine))


def _named(machine: Machine) -> Name:
    """Reads the two lines of a name."""
    module, name = machine.line(), machine.line()
    return find_name(module.decode(errors="replace"), name.decode(errors="replace"))


def _stack_global(machine: Machine) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(find_name(module, name))


def _reduce(machine: Machine) -> None:
    arguments, called = machine.stack.pop(), machine.stack.pop()
    if not isinstance(called, Name):
        raise NotPlainError(f"a call of a {type(called).__name__}")
    if called.build is None:
        raise NotPlainError(f"a call of {called.name}")
    if type(arguments) is not tuple:
        raise UnfitError(f"{called.name} is called with a {type(arguments).__name__}")
    machine.stack.append(called.build(arguments, machine.ledger))


def _build(machine: Machine) -> None:
    state, built = machine.stack.pop(), machine.stack[-1]
    match built:
        case DType():
            built.fill(state)
        case Blank(array=None):
            machine.stack[-1] = built.fill(state, machine.ledger)
        case _:
            raise NotPlainError(f"attributes of a {type(built).__name__}")


def _inst(machine: Machine) -> None:
    raise NotPlainError(f"an object of {_named(machine).name}")


def _obj(machine: Machine) -> None:
    _refuse_object(machine.above_mark()[0])


def _newobj(machine: Machine) -> None:
    _refuse_object(machine.stack[-2])


def _newobj_ex(machine: Machine) -> None:
    _refuse_object(machine.stack[-3])


def _refuse_object(made_of: Any) -> None:
    name = made_of.name if isinstance(made_of, Name) else type(made_of).__name__
    raise NotPlainError(f"an object of {name}")


def _extension(_: Machine) -> None:
    raise NotPlainError("a name of copyreg's extension registry")


def _persistent(_: Machine) -> None:
    raise NotPlainError("a persistent id, which means something only to its writer")


def _buffer(_: Machine) -> None:
    raise NotPlainError("a buffer that is kept outside the file")


def _unknown(machine: Machine) -> None:
    raise UnfitError(f"there is no instruction {machine.content[machine.start]:#04x}")


_MEMO = 150
_CALL = 80
_OTHERS: dict[str, tuple[Any, int]] = {
    "\x80": (_proto, 0),
    "\x95": (_frame, 0),
    "(": (_mark, 2 * SLOT),
    "0": (_pop, 0),
    "1": (_pop_mark, 0),
    "2": (_dup, SLOT),
    "p": (_put, _MEMO),
    "q": (_binput, _MEMO),
    "r": (_long_binput, _MEMO),
    "\x94": (_memoize, _MEMO),
    "g": (_get, SLOT),
    "h": (_binget, SLOT),
    "j": (_long_binget, SLOT),
    "a": (_append, 0),
    "e": (_appends, 0),
    "l": (_list, CONTAINER + 88),
    "t": (_tuple, CONTAINER + 64),
    "\x85": (_tuple1, CONTAINER + 64),
    "\x86": (_tuple2, CONTAINER + 64),
    "\x87": (_tuple3, CONTAINER + 72),
    "d": (_dict, CONTAINER + 280),
    "s": (_setitem, 0),
    "u": (_setitems, 0),
    "\x90": (_additems, 0),
    "\x91": (_make_frozenset, CONTAINER + 216),
    "c": (_global, SLOT),
    "\x93": (_stack_global, SLOT),
    "R": (_reduce, _CALL),
    "b": (_build, 0),
    "i": (_inst, 0),
    "o": (_obj, 0),
    "\x81": (_newobj, 0),
    "\x92": (_newobj_ex, 0),
    "\x82": (_extension, 0),
    "\x83": (_extension, 0),
    "\x84": (_extension, 0),
    "P": (_persistent, 0),
    "Q": (_persistent, 0),
    "\x97": (_buffer, 0),
    "\x98": (_buffer, 0),
}
_INSTRUCTIONS: list[tuple[Any, int]] = [
    {**VALUES, **_OTHERS}.get(chr(code), (_unknown, 0)) for code in range(256)
]
