"""The report: one self-contained HTML page on an experiment."""

from distilwhy.report.data import (
    Comparison,
    Entry,
    GateCounts,
    ReportData,
    TeachingFigure,
    TokenCounts,
)
from distilwhy.report.page import render, write_report

__all__ = [
    "Comparison",
    "Entry",
    "GateCounts",
    "ReportData",
    "TeachingFigure",
    "TokenCounts",
    "render",
    "write_report",
]
