"""Soft labels from a teacher that runs beside the student."""

from __future__ import annotations

from collections.abc import Sequence

from distilwhy.students.rows import EncodedRow
from distilwhy.students.views import Row
from distilwhy.training.divergences import Shares
from distilwhy.training.soft_teacher import SoftTeacher
from distilwhy.training.teacher_rows import TeacherRow, TeacherRows


class LiveLabels:
    """Asks the teacher for the shares of the rows that stand in a forward pass.

    Args:
        teacher: The teacher.
        maker: Makes its rows.
        texts: All training rows.
        rows: The same as the student's tokens; a row's number is its place.
    """

    def __init__(
        self,
        teacher: SoftTeacher,
        maker: TeacherRows,
        texts: Sequence[Row],
        rows: Sequence[EncodedRow],
    ) -> None:
        self._teacher = teacher
        self._maker = maker
        self._texts = texts
        self._rows = rows
        self._made: dict[int, TeacherRow] = {}

    def add(self, text: Row, row: EncodedRow) -> None:
        """Take a row in that is not among the training rows, or a new text of one taken before."""
        self._made[row.number] = self._maker.make(text, row)

    def of(self, numbers: Sequence[int]) -> tuple[list[TeacherRow], Shares]:
        """Return rows and the teacher's shares; see :class:`SoftLabels`."""
        for number in numbers:
            if number not in self._made:
                self.add(self._texts[number], self._rows[number])
        rows = [self._made[number] for number in numbers]
        return rows, self._teacher.shares(rows)
