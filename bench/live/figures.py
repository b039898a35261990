# SPDX-License-Identifier: Apache-2.0
"""Statistics and tables of live measurements."""
import dataclasses
import math
import statistics


@dataclasses.dataclass
class Gate:
    """A figure and the line that it must not cross; exact ones hold at any size and speed."""
    what: str
    value: float
    limit: float
    at_least: bool = True
    exact: bool = False

    def holds(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def row(self) -> str:
        return (f"| {self.what} | {number(self.value)} | {'≥' if self.at_least else '≤'} {self.limit:g} | "
                f"{'yes' if self.holds() else '**no**'} |")


@dataclasses.dataclass
class Report:
    """Of one kind of measurement."""
    lines: list[str]  # a table in Markdown, without the gates
    gates: list[Gate]
    runs: list[dict]  # every single run

    def text(self) -> str:
        head = ["", "| line | measured | asked | holds |", "| --- | --- | --- | --- |"]
        return "\n".join(self.lines + head + [gate.row() for gate in self.gates])


def number(value: float) -> str:
    if value != value:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(columns: list[str], rows: list[list]) -> list[str]:
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    for row in rows:
        cells = [number(cell) if isinstance(cell, (int, float)) else str(cell) for cell in row]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def percentile(values: list[float], share: float) -> float:
    """By nearest rank."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1] if ordered else math.nan


def spread(values: list[float]) -> str:
    """Median and, of several, the smallest and the largest."""
    middle = number(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({number(min(values))}–{number(max(values))})"


def ranks(values: list[float]) -> list[float]:
    """From 0; those that are equal share theirs."""
    ordered = sorted(values)
    return [(ordered.index(value) + len(ordered) - 1 - ordered[::-1].index(value)) / 2 for value in values]


def pearson(a: list[float], b: list[float]) -> float:
    if len(a) < 2 or len(set(a)) == 1 or len(set(b)) == 1:
        return math.nan
    return statistics.correlation(a, b)


def spearman(a: list[float], b: list[float]) -> float:
    return pearson(ranks(a), ranks(b))


def partial(a: list[float], b: list[float], fixed: list[float]) -> float:
    """Pearson's coefficient with a third quantity held fixed."""
    ab, af, bf = pearson(a, b), pearson(a, fixed), pearson(b, fixed)
    return (ab - af * bf) / math.sqrt((1 - af * af) * (1 - bf * bf))
