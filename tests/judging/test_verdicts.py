"""Reading of verdicts: clear ones are read, all others are none, never one in the middle."""

from __future__ import annotations

import pytest

from distilwhy.judging.verdicts import SHOWN, read_preference, read_rating, shown


@pytest.mark.parametrize(
    ("text", "rating"),
    [
        (" 4", 4),
        ("4.", 4),
        ("**4**", 4),
        ("4/5", 4),
        ("4 out of 5", 4),
        ("4 - easy to understand", 4),
        ("Rating: 2", 2),
        ("**Rating**:4", 4),
        ("4, as it is clear.", 4),
        ("The rating is 5.", 5),
        ("On a scale from 1 to 5, I rate it 3.", 3),
        ("It is clear.\nRating (1-5): 4", 4),
        ("<think>Perhaps 2? No.</think>\n4", 4),
        ("4\n\nRating: 4", 4),
        ("\uff14", 4),
    ],
)
def test_clear_ratings(text: str, rating: int) -> None:
    assert read_rating(text) == rating


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "good",
            "four",
            "0",
            "6",
            "7",
            "10",
            "45",
            "-3",
            "\u22123",
            "3.5",
            "3,5",
            "4:30",
        ),
        *("4-5", "4 or 5", "1 2 3 4 5", "1 to 5", "from 1 to 5", "1-5", "4\nRating: 2"),
        *(
            "There are 3 birds.",
            "<think>It is a 4",
            "4</think>",
            "\u0664",
            "4%d5",
            "4th",
            "4\ufffdthe",
            "41",
            "1/5 2",
        ),
    ],
)
def test_what_is_not_clear_is_no_rating(text: str) -> None:
    assert read_rating(text) is None


def test_a_number_at_which_a_text_was_cut_off_is_not_known_to_be_whole() -> None:
    assert read_rating("Rating: 1", "length") is None
    assert read_rating("Rating: 1 as", "length") == 1
    assert read_rating("4", "length") == 4


@pytest.mark.parametrize(
    ("text", "preferred"),
    [
        (" A", "first"),
        ("B.", "second"),
        ("b", "second"),
        ("(A)", "first"),
        ("**B**", "second"),
        ("Explanation A is better.", "first"),
        ("The better one is B", "second"),
        ("Answer: B", "second"),
        ("B\nA says less.", "second"),
        ("tie", "tie"),
        ("Tie.", "tie"),
        ("A and B are equally good.", "tie"),
        ("Neither", "tie"),
    ],
)
def test_clear_preferences(text: str, preferred: str) -> None:
    assert read_preference(text) == preferred


@pytest.mark.parametrize(
    "text",
    [
        *("", "C", "AB", "A or B", "A better explanation is B", "A is better than B", "first"),
        *("I cannot say.", "a heron", "<think>A", "It depends.\nA", "A tie"),
    ],
)
def test_what_is_not_clear_is_no_preference(text: str) -> None:
    assert read_preference(text) is None


def test_what_is_shown_of_a_text_is_harmless_and_short() -> None:
    text = shown("\x1b[31mred\n\u202e" + "<script>" * 1000)
    assert text.isprintable()
    assert "\x1b" not in text
    assert len(text) <= SHOWN + 8
