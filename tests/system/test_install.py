"""The command that installs another package, by how robojam was installed."""

import sys

import pytest

from robojam.system.install import install_command
from robojam.system.shell import quote


@pytest.mark.parametrize(
    ("folder", "file", "text", "command"),
    [
        ("pipx/venvs/robojam", "pyvenv.cfg", "home = /usr/bin", "pipx inject robojam some"),
        ("opt/venvs/robo jam", "pipx_metadata.json", "{}", "pipx inject 'robo jam' some"),
        ("pipx/.cache/0a1b2c3d", "pipx_metadata.json", "{}", "pipx run --with some robojam"),
        ("uv/archive-v0/Ab3", "pyvenv.cfg", "uv = 0.9.2\n", "uvx --with some robojam"),
        ("uv/tools/robojam", "uv-receipt.toml", "[tool]", "uv pip install some --python {}"),
        (".venv", "pyvenv.cfg", "home = /usr\nuv = 0.9.2\n", "uv pip install some --python {}"),
        (".venv", "pyvenv.cfg", "home = /uv\n", "/usr/bin/py -m pip install some"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="quotes of another shell")
def test_command_is_of_the_tool_that_made_the_environment(
    tmp_path, monkeypatch, folder, file, text, command
):
    monkeypatch.setattr(sys, "executable", "/usr/bin/py")
    prefix = tmp_path / folder
    prefix.mkdir(parents=True)
    (prefix / file).write_text(text)
    found = install_command("some", prefix=str(prefix), has_pip=True, is_managed=False)
    assert found == command.format(quote(str(prefix)))  # a temporary folder may have spaces


def test_environment_without_pip_is_left_to_uv(tmp_path):
    found = install_command("some", prefix=str(tmp_path), has_pip=False, is_managed=False)
    assert found is not None
    assert found.startswith("uv pip install some --python ")


def test_system_that_keeps_its_python_for_itself_has_no_command(tmp_path):
    for has_pip in (True, False):
        command = install_command(
            "some", prefix=str(tmp_path), has_pip=has_pip, is_managed=True
        )
        assert command is None
