"""Analysis of variance with one or two factors, and Tukey's comparisons of all pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import combinations
from typing import TYPE_CHECKING, Any

from distilwhy.records import Record
from distilwhy.statistics.values import check_finite, rounding_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVEL = 0.95


class AnovaEffect(Record):
    """One line of an analysis of variance.

    Args:
        effect: A factor's name, or two joined by a colon for their interaction.
        sum_sq: Sum of squares.
        df_num: Its degrees of freedom.
        df_den: Degrees of freedom of the residuals.
        F: The statistic; ``None`` where it is not computable, like ``p`` and ``ges``.
        p: Upper tail of the F distribution.
        ges: Generalised eta squared, from 0 to 1.
    """

    effect: str
    sum_sq: float
    df_num: int
    df_den: int
    F: float | None = None
    p: float | None = None
    ges: float | None = None


class Anova(Record):
    """An analysis of variance of type II.

    Args:
        factors: Names of the factors that vary.
        effects: A line for each effect that could be told from the others.
        residual_sum_sq: Sum of squares within cells.
        residual_df: Its degrees of freedom.
        reason: Why there are no statistics; ``None`` where there are.
    """

    factors: tuple[str, ...]
    effects: tuple[AnovaEffect, ...] = ()
    residual_sum_sq: float | None = None
    residual_df: int = 0
    reason: str | None = None


class TukeyPair(Record):
    """One comparison of two groups by Tukey's honestly significant difference.

    Args:
        a: Name of the first group.
        b: Name of the second group.
        difference: Mean of the first minus mean of the second.
        ci_low: Lower end of the simultaneous 95 % interval; ``None`` where not computable.
        ci_high: Its upper end.
        p_adj: p-value, corrected for all pairs of groups.
        reason: Why interval and p-value are missing; ``None`` where they are there.
    """

    a: str
    b: str
    difference: float
    ci_low: float | None = None
    ci_high: float | None = None
    p_adj: float | None = None
    reason: str | None = None


def anova(values: Sequence[float], factors: Mapping[str, Sequence[str]]) -> Anova:
    """Analyse the variance of values by one factor, or by two and their interaction.

    Type II (each factor beside the other, the interaction beside both), as ``car::Anova`` and
    rstatix's ``anova_test`` by default. Generalised eta squared (Olejnik and Algina 2003) of
    factors that nobody observed but the experimenter set: an effect's sum of squares over itself
    and the residuals'. Each sum of squares is what the residuals of two models differ by, so that
    unequal groups and cells without a value are no special case.

    Args:
        values: Finite numbers.
        factors: By the factor's name, its level for each value; one or two factors. One with a
            single level is left out.

    Raises:
        DataError: When a value is not finite.
    """
    import numpy as np

    check_finite(values)
    levels = {name: column for name, column in factors.items() if len(set(column)) > 1}
    names = tuple(levels)
    if not names:
        return Anova(factors=names, reason="there is only one group")
    y = np.asarray(values, dtype=float)
    y = y - y.mean()
    columns = {name: _dummies(levels[name]) for name in names}
    ones = np.ones((len(y), 1))
    # Each effect: the models without it and with it.
    main = np.hstack([ones, *columns.values()])
    if len(names) == 1:
        models = {names[0]: (ones, main)}
        full = main
    else:
        first, second = names
        cells = [f"{a}\0{b}" for a, b in zip(levels[first], levels[second], strict=True)]
        full = _dummies(cells)
        models = {
            first: (np.hstack([ones, columns[second]]), main),
            second: (np.hstack([ones, columns[first]]), main),
            f"{first}:{second}": (main, full),
        }
    error, rank = _residuals(full, y)
    df = len(y) - rank
    rows = []
    for effect, (without, beside) in models.items():
        small, few = _residuals(without, y)
        large, many = _residuals(beside, y)
        if many > few:
            rows.append((effect, max(small - large, 0.0), many - few))
    reason = None
    if df < 1:
        reason = "no cell has two values, so that nothing tells chance from effect"
    elif error <= len(y) * rounding_of(values) ** 2:
        reason, error = "values do not vary within any cell", 0.0
    return Anova(
        factors=names,
        effects=tuple(_effect(*row, df, None if reason else error) for row in rows),
        residual_sum_sq=error if df else None,
        residual_df=df,
        reason=reason,
    )


def _effect(
    effect: str, sum_sq: float, df_num: int, df_den: int, error: float | None
) -> AnovaEffect:
    from scipy import stats

    if error is None:
        return AnovaEffect(effect=effect, sum_sq=sum_sq, df_num=df_num, df_den=df_den)
    f = sum_sq / df_num / (error / df_den)
    return AnovaEffect(
        effect=effect,
        sum_sq=sum_sq,
        df_num=df_num,
        df_den=df_den,
        F=f,
        p=float(stats.f.sf(f, df_num, df_den)),
        ges=sum_sq / (sum_sq + error),
    )


def _dummies(levels: Sequence[str]) -> NDArray[Any]:
    """Return a column of zeros and ones for each level, in order of appearance."""
    import numpy as np

    order = list(dict.fromkeys(levels))
    return np.asarray([[float(level == name) for name in order] for level in levels])


def _residuals(design: NDArray[Any], y: NDArray[Any]) -> tuple[float, int]:
    """Return the residual sum of squares of a linear model and the rank of its design."""
    import numpy as np

    weights, _, rank, _ = np.linalg.lstsq(design, y, rcond=None)
    rest = y - design @ weights
    return float(rest @ rest), int(rank)


def tukey_hsd(groups: Mapping[str, Sequence[float]]) -> tuple[TukeyPair, ...]:
    """Compare all pairs of groups by Tukey's honestly significant difference (Tukey 1949).

    Unequal groups by Kramer's extension (1956). A group of one value takes part, without a share in
    the error, as in R's ``TukeyHSD``.

    Args:
        groups: By name, the finite numbers of each group, at least one.

    Returns:
        One comparison for each pair, in the order of the groups.

    Raises:
        DataError: When a value is not finite.
    """
    import numpy as np
    from scipy import stats

    everything = [value for group in groups.values() for value in group]
    check_finite(everything)
    df, k = len(everything) - len(groups), len(groups)
    means = {name: float(np.mean(group)) for name, group in groups.items()}
    squares = sum(
        float(np.sum((np.asarray(group) - means[name]) ** 2)) for name, group in groups.items()
    )
    reason = None
    if df < 1:
        reason = "no group has two values"
    elif squares <= len(everything) * rounding_of(everything) ** 2:
        reason = "values do not vary within any group"
    span = None if reason else _span(k, df)
    pairs = []
    for a, b in combinations(groups, 2):
        difference = means[a] - means[b]
        if span is None:
            pairs.append(TukeyPair(a=a, b=b, difference=difference, reason=reason))
            continue
        error = math.sqrt(squares / df / 2 * (1 / len(groups[a]) + 1 / len(groups[b])))
        p = float(stats.studentized_range.sf(abs(difference) / error, k, df))
        pairs.append(
            TukeyPair(
                a=a,
                b=b,
                difference=difference,
                ci_low=difference - span * error,
                ci_high=difference + span * error,
                p_adj=min(max(p, 0.0), 1.0),
            )
        )
    return tuple(pairs)


@cache
def _span(groups: int, df: int) -> float:
    """Return the 95 % point of the studentized range, which takes a quarter of a second."""
    from scipy import stats

    return float(stats.studentized_range.ppf(LEVEL, groups, df))
