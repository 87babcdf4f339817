from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from distilwhy.records import Annotation, CurvePoint, TeacherText
from distilwhy.report import ReportData, render

HOSTILE = (
    "</script><script>alert(1)</script> {{7*7}} {% raw %} <img src=x onerror=alert(2)> "
    "<!-- \u2028 &amp; \u2029 ]]> \" ' "
)

VOID = {"meta", "input", "br", "img", "link"}


class Page(HTMLParser):
    """What a browser would make of the page: elements, attributes and the text inside each."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[list[str]] = []
        self._open: list[int] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.append([])
        if tag not in VOID:
            self._open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.append([])

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self.elements[self._open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for index in self._open:
            self.texts[index].append(data)

    def all(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [
            (attributes, "".join(text))
            for (name, attributes), text in zip(self.elements, self.texts, strict=True)
            if name == tag
        ]

    def by_id(self, identifier: str) -> str:
        return next(
            "".join(text)
            for (_, attributes), text in zip(self.elements, self.texts, strict=True)
            if attributes.get("id") == identifier
        )


@pytest.fixture(scope="module")
def html(report_data: ReportData) -> str:
    return render(report_data)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


@pytest.fixture(scope="module")
def hostile_data(report_data: ReportData) -> ReportData:
    """The same data with hostile text wherever text can come from outside."""
    first = report_data.entries[0]
    predictions = list(first.predictions)
    example = predictions[0].example.model_copy(
        update={
            "question": HOSTILE,
            "context": HOSTILE,
            "choices": (HOSTILE, "b"),
            "answer": HOSTILE,
            "id": HOSTILE,
        }
    )
    update = {"example": example, "rationale": HOSTILE, "answer": None, "answer_text": HOSTILE}
    predictions[0] = predictions[0].model_copy(update=update)
    point = CurvePoint(step=80, held_out_loss=1.0, held_out_views={HOSTILE: 1.0, "predict": 2.0})
    assert first.metrics.training is not None
    metrics = first.metrics.model_copy(
        update={
            "classes": {HOSTILE: first.metrics.classes["a"], **first.metrics.classes},
            "training": first.metrics.training.model_copy(update={"curve": (point, point)}),
        }
    )
    entry = first.model_copy(
        update={
            "name": HOSTILE,
            "condition": HOSTILE,
            "student": HOSTILE,
            "predictions": tuple(predictions),
            "metrics": metrics,
        }
    )
    text = TeacherText(text=HOSTILE, flags=(HOSTILE,))
    sample = Annotation(
        example=example, teacher=HOSTILE, rationale=text, counterfactuals={HOSTILE: text}
    )
    return report_data.model_copy(
        update={
            "title": HOSTILE,
            "task": HOSTILE,
            "config_yaml": HOSTILE,
            "versions": {HOSTILE: HOSTILE},
            "machine": {HOSTILE: HOSTILE},
            "stage_seconds": {HOSTILE: 1.0},
            "entries": (entry, *report_data.entries[1:]),
            "comparisons": (),
            "samples": (sample,),
        }
    )


@pytest.fixture(scope="module")
def hostile_html(hostile_data: ReportData) -> str:
    return render(hostile_data)


def test_headline_states_best_student_with_interval(html: str, report_data: ReportData) -> None:
    best = report_data.entries[0]
    right = sum(p.answer == p.example.answer for p in best.predictions)
    text = html.replace("\u00a0", " ")
    assert f"multitask : unrevised, answered {right / 80:.1%}".replace("%", " %") in text
    low, high = 100 * best.metrics.ci_low, 100 * best.metrics.ci_high
    assert f"(95 % interval {low:.1f}\u2013{high:.1f} %)" in text


def test_sections_stand_in_order(page: Page) -> None:
    titles = [text for _, text in page.all("h2")]
    assert titles == [
        "Accuracy",
        "Comparisons",
        "Results by class",
        "Training",
        "Teacher",
        "What was run",
        "Explanations",
    ]


def test_headings_do_not_skip_levels(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_tables_have_captions_and_scoped_headings(page: Page) -> None:
    tables = page.all("table")
    assert len(page.all("caption")) == len(tables) == 9
    assert all(text.strip() for _, text in page.all("caption"))
    assert all("scope" in attributes for attributes, _ in page.all("th"))


def test_controls_have_labels(page: Page) -> None:
    labelled = {attributes.get("for") for attributes, _ in page.all("label")}
    for tag in ("input", "select"):
        for attributes, _ in page.all(tag):
            assert attributes["id"] in labelled


def test_figures_have_words(page: Page) -> None:
    figures = [attributes for attributes, _ in page.all("svg") if "aria-hidden" not in attributes]
    assert len(figures) == 2 + 5
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in figures)


def test_figures_take_their_colours_from_the_page(html: str) -> None:
    svgs = re.findall(r'<svg role="img".*?</svg>', html, re.DOTALL)
    colours = {colour for svg in svgs for colour in re.findall(r'(?:fill|stroke)="([^"]+)"', svg)}
    assert colours <= {"none", "currentColor", "transparent", "var(--soft)"} | {
        f"var(--series-{number})" for number in range(1, 6)
    }


def test_identifiers_are_unique_and_links_lead_somewhere(page: Page) -> None:
    identifiers = [a["id"] for _, a in page.elements if "id" in a]
    assert len(identifiers) == len(set(identifiers))
    targets = [a["href"] for a, _ in page.all("a") if (a["href"] or "").startswith("#")]
    assert len(targets) == 8
    assert {(target or "")[1:] for target in targets} <= set(identifiers)


def test_nothing_is_loaded_from_elsewhere(html: str, page: Page) -> None:
    for _, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "srcset", "action", "poster", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), value
    assert not page.all("link")
    assert "url(" not in html
    assert "@import" not in html
    assert "http://" not in html
    assert "https://" not in html


def test_policy_allows_only_the_one_script(page: Page) -> None:
    policy = next(a["content"] for a, _ in page.all("meta") if "http-equiv" in a)
    scripts = [text for attributes, text in page.all("script") if "type" not in attributes]
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    rules = dict(rule.strip().split(" ", 1) for rule in (policy or "").split(";"))
    assert rules == {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "script-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_script_writes_text_only(page: Page) -> None:
    script = next(text for attributes, text in page.all("script") if "type" not in attributes)
    for name in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert name not in script


def test_hostile_text_is_inert(hostile_html: str, page: Page) -> None:
    hostile_page = Page(hostile_html)
    harmless = [tag for tag, _ in page.elements if tag in ("script", "img", "style")]
    found = [tag for tag, _ in hostile_page.elements if tag in ("script", "img", "style")]
    assert found == harmless
    assert "onerror" not in {name for _, attributes in hostile_page.elements for name in attributes}
    assert "<script>alert(1)" not in hostile_html
    assert "{{7*7}}" in hostile_html
    assert hostile_page.all("h1")[0][1] == HOSTILE
    assert hostile_page.all("code")[0][1] == HOSTILE
    assert ("dd", HOSTILE) in [("dd", text) for _, text in hostile_page.all("dd")]


def test_embedded_json_gives_the_very_text_back(hostile_html: str) -> None:
    block = Page(hostile_html).by_id("browser-data")
    assert not set(block) & set("<>&\u2028\u2029")
    content = json.loads(block)
    question = content["questions"][0]
    assert question["question"] == question["context"] == question["choices"][0] == HOSTILE
    assert question["answers"][0] == {
        "choice": -1,
        "raw": HOSTILE,
        "reasons": HOSTILE,
        "flags": [],
        "scores": [],
    }
    assert content["entries"][0]["name"] == HOSTILE


def test_first_questions_are_readable_without_scripts(page: Page, report_data: ReportData) -> None:
    items = page.by_id("items")
    for prediction in report_data.entries[1].predictions[:3]:
        assert prediction.example.question in items
        assert prediction.rationale is not None
        assert prediction.rationale in items


def test_report_without_the_optional_parts(bare_data: ReportData) -> None:
    text = "".join(text for _, text in Page(render(bare_data)).all("body"))
    assert "No student was evaluated" in text
    assert "No predictions were recorded." in text
    assert "No training curves were recorded." in text
