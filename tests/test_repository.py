"""The repository itself: pinned, portable, light, and each model with its card."""

import importlib.metadata
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import robojam
from robojam.model import file

ROOT = Path(__file__).parents[1]
MAX_BYTES = 10_000_000
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def tracked() -> list[Path]:
    """List the files that git keeps; without git (a source archive) there is nothing to ask."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    ran = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    paths = [ROOT / name for name in ran.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


def requirements() -> list[Requirement]:
    """List what pyproject.toml asks for: to build, to run, and by its extras."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    texts = PROJECT["build-system"]["requires"] + PROJECT["project"]["dependencies"]
    return [
        Requirement(text) for text in [*texts, *(text for extra in extras for text in extra)]
    ]


def pins() -> dict[str, str]:
    """Read constraints.txt: the version of each package. Every line is an exact one."""
    pinned = {}
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines():
        if text := line.partition("#")[0].strip():
            match = re.fullmatch(r"([a-z0-9-]+)==([0-9][0-9a-z.]*)", text)
            assert match, f"constraints.txt pins nothing exactly by {text!r}"
            assert match[1] not in pinned, f"constraints.txt pins {match[1]} twice"
            pinned[match[1]] = match[2]
    return pinned


def needed() -> set[str]:
    """Follow what pyproject.toml asks for through everything installed here.

    What torch's CUDA build asks for is left out: torch pins it exactly by itself.
    """
    names, waiting = set(), [(requirement, frozenset({""})) for requirement in requirements()]
    while waiting:
        requirement, extras = waiting.pop()
        name = canonicalize_name(requirement.name)
        marker = requirement.marker
        if marker and not any(marker.evaluate({"extra": extra}) for extra in extras):
            continue
        if name in names or re.match("nvidia-|cuda-|triton", name):
            continue
        names.add(name)
        try:
            asked = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # an extra that nobody installed
        inner = frozenset({"", *requirement.extras})
        waiting += [(Requirement(text), inner) for text in asked]
    return names


def test_every_dependency_is_pinned_and_within_its_range():
    pinned = pins()
    for requirement in requirements():
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"constraints.txt does not pin {name}"
        assert requirement.specifier.contains(pinned[name]), (
            f"{name} is pinned out of its range"
        )


def test_what_the_dependencies_need_is_pinned_too():
    assert sorted(needed() - set(pins())) == []


def test_torch_is_the_one_that_the_models_were_trained_with():
    assert pins()["torch"] == "2.13.0"


def test_the_version_has_one_source():
    assert "version" in PROJECT["project"]["dynamic"]
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "robojam/__init__.py"
    assert re.fullmatch(r"\d+\.\d+\.\d+", robojam.__version__)


def test_the_readme_tells_what_each_dependency_is_for():
    readme = (ROOT / "README.md").read_text("utf-8").lower()
    names = [Requirement(text).name for text in PROJECT["project"]["dependencies"]]
    unexplained = [
        n for n in names if not re.search(rf"(?<![\w-]){re.escape(n)}(?![\w-])", readme)
    ]
    assert not unexplained, f"README.md says nothing of {', '.join(unexplained)}"


@pytest.mark.parametrize(("name", "most"), [("touch", 10_000_000), ("small", 300_000)])
def test_a_model_has_its_card_and_is_small_enough(name: str, most: int):
    path = ROOT / "models" / f"{name}.safetensors"
    about = file.read(path).description
    card = path.with_suffix(".md").read_text("utf-8")
    assert path.stat().st_size <= most
    assert about.score is not None
    assert f"{-about.score:.3f} nats" in card
    assert f"temperature {about.temperature:g}, spread {about.spread:g}" in card
    assert [data.name in card for data in about.trained_on] == [True]


def test_every_model_is_looked_at():
    found = sorted(path.stem for path in (ROOT / "models").glob("*.safetensors"))
    assert found == ["small", "touch"]


def test_no_tracked_file_is_large():
    large = [str(path) for path in tracked() if path.stat().st_size > MAX_BYTES]
    assert not large, f"over 10 MB: {', '.join(large)}"


def test_no_tracked_file_holds_a_path_or_a_registry_of_somebodys_machine():
    # Folders where people and their tools work. In pieces, that this file holds none.
    # "somebody" is nobody: a test that needs such a path names that one.
    homes = "home Users root work workspace opt mnt private".split()
    paths = re.compile(
        rb"(?<![\w.~/\-])/(?:" + "|".join(homes).encode() + rb")/(?!somebody\b)[\w.\-]+"
    )
    drives = re.compile(rb"\b[A-Z]:\\+(?:Users|Documents)\b", re.IGNORECASE)
    # Where packages come from is for each machine to say.
    hosts = re.compile(rb"(?:pypi|pythonhosted)" + rb"\.org|pytorch" + rb"\.org/whl")
    told = []
    for path in tracked():
        data = path.read_bytes()
        if path.suffix != ".safetensors" and b"\0" in data:
            continue  # a picture: what looks like a path in it is chance
        for match in [*paths.finditer(data), *drives.finditer(data), *hosts.finditer(data)]:
            line = 1 + data.count(b"\n", 0, match.start())
            told.append(f"{path.relative_to(ROOT)}:{line}: {match[0].decode()}")
    assert not told, "\n".join(told)


def test_what_ci_runs_can_be_run():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
