"""The report: one self-contained HTML page on an experiment."""

from distilwhy.report.data import Comparison, Entry, GateCounts, ReportData, TokenCounts
from distilwhy.report.page import render, write_report

__all__ = [
    "Comparison",
    "Entry",
    "GateCounts",
    "ReportData",
    "TokenCounts",
    "render",
    "write_report",
]
