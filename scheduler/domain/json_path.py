"""Evaluates JSONPath (RFC 9535) on untrusted documents.

python-jsonpath in strict mode passes the whole compliance suite. This adds, through its extension points, limits
on time, nodes and regular expressions, and a few cases that the suite does not cover.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any, cast

from iregexp_check import check as is_iregexp
from jsonpath import JSONPath as Query
from jsonpath import JSONPathEnvironment, JSONPathMatch
from jsonpath.exceptions import JSONPathError
from jsonpath.filter import BaseExpression, FilterQuery
from jsonpath.function_extensions import ExpressionType, FilterFunction
from jsonpath.parse import Parser
from jsonpath.stream import TokenStream
from jsonpath.token import TOKEN_NAME

from scheduler.domain.bounded_regex import Pattern, compile_bounded
from scheduler.domain.errors import InvalidField, ReveilleError
from scheduler.domain.json_values import DoubledObject, heavier_than, json_equal, matches

__all__ = [
    "JsonPath",
    "JsonPathTooCostly",
    "compile_path",
    "compile_stored",
    "json_equal",
    "json_path_line",
    "matches",
]

MAX_EXPRESSION_CHARS = 2_000
MAX_RESULTS = 10_000
MAX_RESULT_WEIGHT = 4 * 1024 * 1024
FIND_SECONDS = 1.0
_WHOLES = (list, dict, DoubledObject)
_SHORTHAND = re.compile(r"[A-Za-z_\u0080-\U0010FFFF][0-9A-Za-z_\u0080-\U0010FFFF]*")
"""A name that may follow a dot (RFC 9535 section 2.5.1.1)."""


class JsonPathTooCostly(ReveilleError):
    """The JSON path takes too long, reaches too deep or selects too much on this document."""

    status = 422
    problem = "json-path-too-costly"


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A compiled expression, safe to share between threads."""

    expression: str
    _query: _Query = field(repr=False, compare=False)

    @property
    def is_singular(self) -> bool:
        """Whether it selects at most one node (RFC 9535 section 2.3.5.1)."""
        return self._query.singular_query()

    def find(self, document: object) -> list[Any]:
        """Returns the values of the selected nodes in the standard's order; `document` comes from `json.loads`.

        Raises JsonPathTooCostly after 1 s of processor time, over 10,000 nodes, over 4 Mi characters of values (a
        part selected twice counts twice), or when `..` meets a document of more than 100 levels.
        """
        values = self._first(MAX_RESULTS + 1, document, FIND_SECONDS)
        if len(values) > MAX_RESULTS or heavier_than(MAX_RESULT_WEIGHT, values):
            raise JsonPathTooCostly("The JSON path selects too much of this document; make it more precise.")
        return values

    def selects(self, document: object, seconds: float) -> bool:
        """Whether any node is selected. Stops at the first one.

        Raises JsonPathTooCostly after the given seconds of processor time, or when `..` meets too many levels.
        """
        return bool(self._first(1, document, seconds, yields=True))

    def _first(self, count: int, document: object, seconds: float, *, yields: bool = False) -> list[Any]:
        outer = _run.set(_Evaluation(document, seconds, yields=yields))
        try:
            return [node.obj for node in islice(self._query.finditer(document), count)]
        except RecursionError:
            raise JsonPathTooCostly("The JSON path reaches too many levels of nesting in this document.") from None
        finally:
            _run.reset(outer)


def compile_path(expression: str) -> JsonPath:
    """Compiles a path; raises InvalidField on `json_path` with the reason and position."""
    path = compile_stored(expression)
    for token in _ENVIRONMENT.lexer.tokenize(expression):
        if token.kind == TOKEN_NAME and not _SHORTHAND.fullmatch(token.value):
            raise InvalidField(
                f"Not a JSON path (RFC 9535): the name {token.value} at position {token.index} must stand in "
                f"brackets: ['{token.value}'].",
                field="json_path",
            )
    return path


@lru_cache(maxsize=512)
def compile_stored(expression: str) -> JsonPath:
    """Compiles a stored path. Earlier versions accepted names such as `foo-bar` without brackets."""
    if len(expression) > MAX_EXPRESSION_CHARS:
        raise InvalidField(f"The JSON path is longer than {MAX_EXPRESSION_CHARS} characters.", field="json_path")
    if not expression.startswith("$"):
        raise InvalidField("Not a JSON path (RFC 9535): it must begin with $, as in $.state.", field="json_path")
    try:
        query = cast("Query", _ENVIRONMENT.compile(expression))  # strict mode raises only this class
    except JSONPathError as error:
        place = f" at position {error.token.index}" if error.token else ""
        message = f"Not a JSON path (RFC 9535): {error.message}{place}."
        raise InvalidField(message, field="json_path") from None
    return JsonPath(expression, _Query(env=_ENVIRONMENT, segments=query.segments))


def json_path_line(request: dict[str, Any]) -> dict[str, Any]:
    """Implements `reveille json-path`: `{path, document}` → `{values}`, or `{error}`."""
    path = request.get("path")
    if not isinstance(path, str) or "document" not in request:
        return {"error": "The line needs path (a string) and document (any JSON)."}
    try:
        return {"values": compile_path(path).find(request["document"])}
    except ReveilleError as error:
        return {"error": error.message}


class _Evaluation:
    """One evaluation with its remaining processor time. `yields`: gives other threads their turn."""

    def __init__(self, document: object, seconds: float, *, yields: bool = False) -> None:
        self.document = document
        # Processor time of this thread, so that a good path does not fail on a busy machine.
        self._ends_at = time.thread_time() + seconds
        self._yields = yields
        self._steps = 0

    def step(self) -> None:
        """Runs for each node and checks the clock now and then."""
        self._steps += 1
        if self._steps % 64 == 0:
            if self._yields:
                time.sleep(0)  # release the interpreter before other threads have to request it
            self.seconds_left()

    def seconds_left(self) -> float:
        """Returns the seconds left; raises JsonPathTooCostly when there are none."""
        left = self._ends_at - time.thread_time()
        if left <= 0:
            raise JsonPathTooCostly("The JSON path takes too long on this document; make it more precise.")
        return left


_run: ContextVar[_Evaluation] = ContextVar("json_path_run")


class _Node(JSONPathMatch):
    """A node that counts as a step. It keeps neither its path nor its children, which are not needed."""

    __slots__ = ()

    def new_child(self, obj: object, key: int | str) -> JSONPathMatch:
        _run.get().step()
        return _Node(filter_context={}, obj=obj, parent=None, path="", parts=(), root=self.root)

    def add_child(self, *children: JSONPathMatch) -> None:
        pass


class _Query(Query):
    """A query that never parses a string document, and whose `$` is the document even deep inside a filter."""

    __slots__ = ()

    def finditer(self, data: object, *, filter_context: object = None) -> Iterable[JSONPathMatch]:
        run = _run.get()
        run.step()
        root: Any = run.document
        nodes: Iterable[JSONPathMatch] = [
            _Node(filter_context={}, obj=data, parent=None, path="", parts=(), root=root)
        ]
        for segment in self.segments:
            nodes = segment.resolve(nodes)
        return nodes


class _Parser(Parser):
    def parse_relative_query(self, stream: TokenStream) -> BaseExpression:
        return _with_bounded_query(super().parse_relative_query(stream))

    def parse_absolute_query(self, stream: TokenStream) -> BaseExpression:
        return _with_bounded_query(super().parse_absolute_query(stream))


def _with_bounded_query(expression: BaseExpression) -> BaseExpression:
    if isinstance(expression, FilterQuery):
        expression.path = _Query(env=expression.path.env, segments=expression.path.segments)
    return expression


class _Environment(JSONPathEnvironment):
    parser_class = _Parser

    def setup_function_extensions(self) -> None:
        super().setup_function_extensions()
        self.function_extensions["match"] = _RegexFunction(whole=True)
        self.function_extensions["search"] = _RegexFunction(whole=False)

    def getitem(self, obj: Any, key: Any) -> Any:
        # A slice selects from arrays only (RFC 9535 section 2.3.4.2.2); Python would slice strings too.
        return [] if isinstance(obj, str) else super().getitem(obj, key)

    def compare(self, left: object, operator: str, right: object) -> bool:
        _run.get().seconds_left()
        if type(left) in _WHOLES and type(right) in _WHOLES and operator in ("==", "!=", "<=", ">="):
            return json_equal(left, right, _run.get().step) is (operator != "!=")
        return super().compare(left, operator, right)


class _RegexFunction(FilterFunction):
    """`match()` and `search()` (RFC 9535 section 2.4.6 and 2.4.7): false for non-strings and invalid I-Regexps."""

    arg_types = [ExpressionType.VALUE, ExpressionType.VALUE]  # noqa: RUF012  # read by the library
    return_type = ExpressionType.LOGICAL

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole

    def __call__(self, value: object, pattern: object) -> bool:
        left = _run.get().seconds_left()
        compiled = _iregexp(pattern) if isinstance(value, str) and isinstance(pattern, str) else None
        if compiled is None:
            return False
        match = compiled.fullmatch if self._whole else compiled.search
        try:
            return match(str(value), timeout=left) is not None
        except TimeoutError:
            raise JsonPathTooCostly("A regular expression in the JSON path takes too long here.") from None


_BARE_DOT = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|(\.)", re.DOTALL)
_COUNT_OF_SEVERAL_DIGITS = re.compile(r"\d{2,}(?=[\d,]*\})")


@lru_cache(maxsize=256)
def _iregexp(pattern: str) -> Pattern | None:
    """Compiles an I-Regexp (RFC 9485), whose dot excludes both line ends; None when it is invalid."""
    # The checker only accepts one-digit counts, so longer ones are shortened to one digit.
    if not is_iregexp(_COUNT_OF_SEVERAL_DIGITS.sub("1", pattern)):
        return None
    try:
        return compile_bounded(_BARE_DOT.sub(lambda part: r"[^\n\r]" if part[1] else part[0], pattern))
    except ValueError as error:
        raise JsonPathTooCostly(f"A regular expression in the JSON path {error}.") from None


_ENVIRONMENT = _Environment(strict=True)
