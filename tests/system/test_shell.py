"""Texts from outside: one printable line, one word of a shell."""

import os
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.system.shell import printable, shell_quoted


@pytest.mark.skipif(os.name == "nt", reason="the shell of Windows is another")
@given(st.text())
def test_any_text_is_one_printable_word_of_a_shell(text):
    word = shell_quoted(text)
    assert word.isprintable()
    assert len(shlex.split(word)) == 1
    if text.isprintable():
        assert shlex.split(word) == [text]


def test_what_does_not_print_is_escaped():
    assert printable("a\x1b[2J\n\u202eb") == "a\\x1b[2J\\n\\u202eb"
