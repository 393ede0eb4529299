"""The line on which a case or one of its keys stands."""

from __future__ import annotations

from convdiff.manifest.line_numbers import case_line, key_line


def test_text_that_looks_like_a_case_is_skipped() -> None:
    content = 'x = """\n[[case]]\n"""\n[[case]]\nname = "a"\n\n[[ "case" ]]\nname = "b"\n'
    assert [case_line(content, number) for number in (0, 1)] == [4, 7]
    assert key_line(content, "case", 1, "name") == 8
    assert key_line('[[case]]\n"stride" = 2\nsaved.port = "y"\n', "case", 0, "saved") == 3
    assert key_line("case = [{a = 1,\n b = 2}]\n", "case", 0, "b") == 1
