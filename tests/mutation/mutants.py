"""Small changes to a module, each of which a test should notice.

A mutant is one syntax tree with one node changed; all other lines stay. Texts for people are not changed: docstrings,
annotations, messages of exceptions, and texts of three words or more. SQL statements are changed within their text.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import CodeType
from typing import Any

_COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
}
_CALLED = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list"}
_SQL = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|FROM|WHERE|AND|ORDER)\b")
_IN_SQL = [
    (" AND ", " OR "),
    (" < ", " <= "),
    (" <= ", " < "),
    (" > ", " >= "),
    (" >= ", " > "),
    (" = ?", " <> ?"),
    (" + ", " - "),
    (" - ", " + "),
    (" DESC", ""),
    ("ORDER BY id LIMIT", "ORDER BY id DESC LIMIT"),
    (" IS NULL", " IS NOT NULL"),
    (" IS NOT NULL", " IS NULL"),
    ("MAX(", "MIN("),
    ("MIN(", "MAX("),
]
#: Fields of nodes that are skipped.
_LEFT = {"annotation", "returns", "decorator_list", "bases", "type_comment"}


@dataclass(frozen=True)
class Mutant:
    """One change. `put` applies it to the file's tree and returns a function that reverts it.

    `lines` are the lines of the statement (of its head, if it has a body); `at_import` says whether it runs on import.
    """

    path: str
    within: str
    line: int
    lines: range
    at_import: bool
    before: str
    after: str
    count: int
    tree: ast.Module = field(repr=False, compare=False)
    put: Callable[[], Callable[[], None]] = field(repr=False, compare=False)

    @property
    def key(self) -> str:
        """Its name, which stays the same while other lines of the file change."""
        count = f" #{self.count}" if self.count else ""
        return f"{self.path} {self.within}: {self.before} -> {self.after}{count}"

    def rank(self, seed: int) -> bytes:
        """Return its rank among all mutants in the draw of `seed`."""
        return hashlib.sha256(f"{seed} {self.key}".encode()).digest()

    def code(self, filename: str) -> CodeType:
        """Compile the changed module. Raises SyntaxError or ValueError if that is impossible."""
        undo = self.put()
        try:
            return compile(ast.fix_missing_locations(deepcopy(self.tree)), filename, "exec", dont_inherit=True)
        finally:
            undo()


@dataclass
class _Place:
    """The position of a node.

    `function`: it runs when a function is called; `outer`: it runs when the function is defined.
    """

    within: tuple[str, ...]
    function: bool
    lines: range
    told: bool = False
    outer: bool = False


def mutants_of(path: str, root: Path) -> list[Mutant]:
    """List all mutants of the module at `path`, below `root`, in file order."""
    tree = ast.parse((root / path).read_text())
    known: dict[str, int] = {}
    found = []
    for place, parent, name, index, old, new in _walk(tree, _Place((), False, range(0))):
        texts = [" ".join(ast.unparse(node).split())[:100] if node else "nothing" for node in (old, new)]
        within = ".".join(place.within) or "module"
        same = f"{within}: {texts}"
        known[same] = known.get(same, -1) + 1
        line = getattr(old, "lineno", place.lines.start)
        where = place.lines if line in place.lines else range(line, line + 1)
        change = _putter(parent, name, index, new)
        found.append(Mutant(path, within, line, where, not place.function, *texts, known[same], tree, change))
    return found


def _putter(parent: ast.AST, name: str, index: int | None, new: ast.AST) -> Callable[[], Callable[[], None]]:
    """Return a function that replaces a child and returns a function that restores it."""

    def assign(value: Any) -> Any:
        """Assign the node; return the previous one."""
        before = getattr(parent, name)
        if index is None:
            setattr(parent, name, value)
            return before
        before[index], value = value, before[index]
        return value

    def put() -> Callable[[], None]:
        before = assign(new)
        return lambda: assign(before)

    return put


_Change = tuple[_Place, ast.AST, str, int | None, ast.AST, ast.AST]


def _walk(node: ast.AST, place: _Place) -> Iterator[_Change]:
    for name, value in ast.iter_fields(node):
        if name in _LEFT:
            continue
        several = isinstance(value, list)
        here = replace(place, function=place.outer) if isinstance(node, ast.arguments) else place
        for index, child in enumerate(value if several else [value]):
            if not isinstance(child, ast.AST) or _left_alone(node, name, child):
                continue
            inner = _entered(child, here)
            for new in _changes(child, node, name, inner):
                yield inner, node, name, index if several else None, child, ast.copy_location(new, child)
            yield from _walk(child, inner)


def _entered(node: ast.AST, place: _Place) -> _Place:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        function = place.function or not isinstance(node, ast.ClassDef)
        return _Place((*place.within, node.name), function, range(node.lineno, node.lineno + 1), outer=place.function)
    if isinstance(node, ast.Raise):
        return replace(place, lines=range(node.lineno, (node.end_lineno or 0) + 1), told=True)
    if isinstance(node, ast.stmt | ast.ExceptHandler):
        body = getattr(node, "body", None)
        end = body[0].lineno - 1 if body else node.end_lineno or node.lineno
        return replace(place, lines=range(node.lineno, max(end, node.lineno) + 1), told=False)
    return place


def _left_alone(parent: ast.AST, name: str, node: ast.AST) -> bool:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    if isinstance(node, ast.Import | ast.ImportFrom | ast.Assert):
        return True
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return True
    if isinstance(node, ast.Assign):
        target = ast.unparse(node.targets[0])
        return target in ("__all__", "__slots__") or ast.unparse(node.value).startswith("TypeVar(")
    if isinstance(parent, ast.Call) and ast.unparse(parent.func) == "cast":
        return node is parent.args[0]
    return isinstance(parent, ast.JoinedStr) and isinstance(node, ast.Constant)


def _changes(node: ast.AST, parent: ast.AST, name: str, place: _Place) -> Iterator[ast.AST]:
    """Yield the replacements for a node."""
    if isinstance(node, ast.stmt):
        yield from _statements(node)
    if isinstance(parent, ast.If | ast.IfExp | ast.While) and name == "test" and not isinstance(node, ast.Constant):
        yield ast.Constant(False)
        if not isinstance(parent, ast.While):
            yield ast.Constant(True)
    if isinstance(parent, ast.comprehension) and name == "ifs":
        yield ast.Constant(True)
    match node:
        case ast.Compare():
            for at, operator in enumerate(node.ops):
                for other in _COMPARED[type(operator)]:
                    ops = [*node.ops[:at], other(), *node.ops[at + 1 :]]
                    yield ast.Compare(node.left, ops, node.comparators)
        case ast.BoolOp():
            yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
            for at in range(len(node.values)):
                rest = node.values[:at] + node.values[at + 1 :]
                yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
        case ast.UnaryOp(op=ast.Not()) | ast.UnaryOp(op=ast.USub()):
            yield node.operand
        case ast.BinOp() if type(node.op) in _COMPUTED:
            yield ast.BinOp(node.left, _COMPUTED[type(node.op)](), node.right)
        case ast.Call(func=ast.Name(id=called)) if called in _CALLED:
            keywords = [] if called == "sorted" else node.keywords
            yield ast.Call(ast.Name(_CALLED[called], ast.Load()), node.args, keywords)
        case ast.Constant():
            yield from _constants(node, place)
        case ast.ExceptHandler():
            if not (len(node.body) == 1 and ast.unparse(node.body[0]) == "raise"):
                yield ast.ExceptHandler(node.type, node.name, [ast.Raise()])
            if isinstance(node.type, ast.Tuple):
                for at in range(len(node.type.elts)):
                    fewer = ast.Tuple(node.type.elts[:at] + node.type.elts[at + 1 :], ast.Load())
                    yield ast.ExceptHandler(fewer, node.name, node.body)


def _statements(node: ast.stmt) -> Iterator[ast.stmt]:
    match node:
        case ast.Expr(value=ast.Call() | ast.Await()) | ast.Delete() | ast.Raise() | ast.Break() | ast.Continue():
            yield ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield ast.Pass()
        case ast.AugAssign():
            yield ast.Pass()
            if type(node.op) in _COMPUTED:
                yield ast.AugAssign(node.target, _COMPUTED[type(node.op)](), node.value)
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield ast.Return(ast.Constant(None))


def _constants(node: ast.Constant, place: _Place) -> Iterator[ast.Constant]:
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
        yield ast.Constant(value - 1)
    elif isinstance(value, float):
        yield ast.Constant(value * 2 + 1)
    elif isinstance(value, bytes):
        yield ast.Constant(value + b"X")
    elif isinstance(value, str) and not place.told:
        if not _SQL.match(value) and len(value.split()) < 3:
            yield ast.Constant(value + "X")
        for old, new in _IN_SQL if _SQL.match(value) else ():
            for hit in re.finditer(re.escape(old), value):
                yield ast.Constant(value[: hit.start()] + new + value[hit.end() :])
