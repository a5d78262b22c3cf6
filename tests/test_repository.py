"""The repository: dependencies pinned, no paths of machines, model cards and docs correct."""

import importlib
import importlib.metadata
import re
import runpy
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
MODELS = sorted((ROOT / "models").glob("*.safetensors"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def tracked() -> list[Path]:
    """Return the files that git tracks; skip the test outside a git checkout."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    result = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    )
    paths = [ROOT / name for name in result.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


def requirements() -> list[Requirement]:
    """Return the requirements of pyproject.toml: to build, to run, and of its extras."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    texts = PROJECT["build-system"]["requires"] + PROJECT["project"]["dependencies"]
    return [
        Requirement(text) for text in [*texts, *(text for extra in extras for text in extra)]
    ]


def pins() -> dict[str, str]:
    """Return the exact version of each package in constraints.txt."""
    pinned = {}
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines():
        if text := line.partition("#")[0].strip():
            match = re.fullmatch(r"([a-z0-9-]+)==([0-9][0-9a-z.]*)", text)
            assert match, f"constraints.txt has no exact version in {text!r}"
            assert match[1] not in pinned, f"constraints.txt pins {match[1]} twice"
            pinned[match[1]] = match[2]
    return pinned


def needed() -> set[str]:
    """Return the requirements of pyproject.toml and, of what is installed, theirs in turn.

    Those of torch's CUDA build are left out, because torch pins them exactly.
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
            required = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # an extra that is not installed
        inner = frozenset({"", *requirement.extras})
        waiting += [(Requirement(text), inner) for text in required]
    return names


def test_every_dependency_is_pinned_and_within_its_range():
    pinned = pins()
    for requirement in requirements():
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"constraints.txt does not pin {name}"
        assert requirement.specifier.contains(pinned[name]), (
            f"{name} is pinned out of its range"
        )


def test_dependencies_of_dependencies_are_pinned():
    assert sorted(needed() - set(pins())) == []


def test_torch_is_pinned_to_the_version_that_trained_the_models():
    assert pins()["torch"] == "2.13.0"


def test_readme_explains_each_dependency():
    readme = (ROOT / "README.md").read_text("utf-8").lower()
    names = [Requirement(text).name for text in PROJECT["project"]["dependencies"]]
    unexplained = [
        n for n in names if not re.search(rf"(?<![\w-]){re.escape(n)}(?![\w-])", readme)
    ]
    assert not unexplained, f"README.md does not explain {', '.join(unexplained)}"


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_model_card_states_score_sampling_data_and_licence(path: Path):
    description = file.read(path).description
    card = path.with_suffix(".md").read_text("utf-8")
    assert description.score is not None
    assert f"{-description.score:.3f} nats" in card
    assert f"temperature {description.temperature:g}, spread {description.spread:g}" in card
    assert all(data.name in card for data in description.trained_on)
    assert "| licence |" in card


def test_small_model_is_at_most_300_kilobytes():
    assert (ROOT / "models" / "small.safetensors").stat().st_size <= 300_000


def test_no_tracked_file_is_large():
    large = [str(path) for path in tracked() if path.stat().st_size > MAX_BYTES]
    assert not large, f"over 10 MB: {', '.join(large)}"


def test_no_tracked_file_contains_a_path_or_a_registry_of_a_machine():
    # Folders of users and tools, written in pieces so that this file does not match itself.
    # Tests that need such a path use the user name "somebody".
    homes = "home Users root work workspace opt mnt private".split()
    paths = re.compile(
        rb"(?<![\w.~/\-])/(?:" + "|".join(homes).encode() + rb")/(?!somebody\b)[\w.\-]+"
    )
    drives = re.compile(rb"\b[A-Z]:\\+(?:Users|Documents)\b", re.IGNORECASE)
    # Hosts of package registries, which each machine configures itself.
    hosts = re.compile(rb"(?:pypi|pythonhosted)" + rb"\.org|pytorch" + rb"\.org/whl")
    matches = []
    for path in tracked():
        data = path.read_bytes()
        if path.suffix != ".safetensors" and b"\0" in data:
            continue  # a picture, whose bytes can look like a path by chance
        for match in [*paths.finditer(data), *drives.finditer(data), *hosts.finditer(data)]:
            line = 1 + data.count(b"\n", 0, match.start())
            matches.append(f"{path.relative_to(ROOT)}:{line}: {match[0].decode()}")
    assert not matches, "\n".join(matches)


def test_ci_script_is_executable_and_valid_bash():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0


def documents() -> list[Path]:
    """Return the pages whose links and names must be correct."""
    folders = ("docs", "benchmarks", "examples", "models", "sessions")
    pages = [path for folder in folders for path in (ROOT / folder).rglob("*.md")]
    first = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")
    return [*(ROOT / name for name in first), *sorted(pages)]


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


def names_something(dotted: str) -> bool:
    """Return whether a dotted name is a module of robojam or a name that occurs in one."""
    for module, attribute in ((dotted, ""), dotted.rpartition(".")[::2]):
        path = ROOT.joinpath(*module.split("."))
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if source.is_file():
            return bool(re.search(rf"\b{attribute}\b", source.read_text("utf-8")))
    return False


@pytest.mark.parametrize("page", documents(), ids=lambda page: str(page.relative_to(ROOT)))
def test_page_links_lead_to_files_and_headings_that_exist(page: Path):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        if "://" in target:
            continue
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(target)
    assert not broken


def test_site_has_every_page_of_the_documentation_and_all_that_it_links_to(tmp_path):
    namespace = runpy.run_path(str(ROOT / "docs" / "stage.py"))
    namespace["stage"](tmp_path)
    missing = []
    for page in documents():
        copy = tmp_path / page.relative_to(ROOT)
        targets = re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8"))
        needed = [copy, *(copy.parent / target for target in targets if "://" not in target)]
        missing += [str(path.relative_to(tmp_path)) for path in needed if not path.exists()]
    assert not missing
    entries = re.findall(r'= "([^"]+\.md)" }', (ROOT / "zensical.toml").read_text("utf-8"))
    pages = {str(page.relative_to(ROOT)) for page in documents()}
    assert sorted(pages - set(entries)) == [], "not in the navigation of zensical.toml"
    assert sorted(set(entries) - pages) == []


def test_workflow_tests_every_python_that_the_project_names():
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text("utf-8")
    tested = {
        version
        for row in re.findall(r"^ +python: \[(.+)\]$", workflow, re.MULTILINE)
        for version in re.findall(r'"(3\.\d+)"', row)
    }
    named = "\n".join(PROJECT["project"]["classifiers"])
    assert tested == set(re.findall(r"Python :: (3\.\d+)", named))


def test_version_of_the_citation_is_that_of_robojam():
    assert f"\nversion: {robojam.__version__}\n" in (ROOT / "CITATION.cff").read_text("utf-8")


# Not the changelog, which may name what existed before.
@pytest.mark.parametrize(
    "page",
    [page for page in documents() if page.name != "CHANGELOG.md"],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_page_names_files_and_modules_that_exist(page: Path):
    text = page.read_text("utf-8")
    folders = "robojam|benchmarks|results|examples|models|docs|tests"
    files = rf"(?<![\w./-])(?:{folders})/[\w./-]+\.(?:py|jsonl|json|toml|md|pd|scd)\b"
    missing = [
        name
        for name in re.findall(files, text)
        if not (ROOT / name).exists() and not (page.parent / name).exists()
    ]
    modules = set(re.findall(r"\brobojam(?:\.[a-z_]+)+", text))
    files = "conf log pd scd service toml yaml".split()
    modules -= {f"robojam.{suffix}" for suffix in files}
    missing += [name for name in sorted(modules) if not names_something(name)]
    assert not missing


def test_map_names_every_package_and_only_modules_that_exist():
    text = (ROOT / "docs" / "map.md").read_text("utf-8")
    packages = {path.parent.name for path in (ROOT / "robojam").glob("*/__init__.py")}
    assert sorted(name for name in packages if f"| `{name}/` |" not in text) == []
    named = re.findall(r"`((?:[a-z_]+[./])+[a-z_]+)`", text)
    paths = [name.removesuffix(".py").replace(".", "/") for name in named]
    roots = (ROOT, ROOT / "robojam")
    assert [
        path
        for path in paths
        if not any((root / f"{path}.py").exists() or (root / path).exists() for root in roots)
    ] == []


def test_numbers_of_the_page_of_limits_are_those_of_the_code():
    table = (ROOT / "docs" / "limits.md").read_text("utf-8").partition("## Table")[2]
    rows = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \| `([\w, ]+)` in `([\w/]+)\.py` \|", table, re.MULTILINE
    )
    assert len(rows) > 25
    for limit, number, names, path in rows:
        module = importlib.import_module(path.replace("/", "."))
        values = [getattr(module, name) for name in names.split(", ")]
        if all(isinstance(value, type) for value in values):
            continue  # a class, which says it in words
        flat: list[float] = []
        for value in values:
            flat += value if isinstance(value, tuple) else [value]
        written = [
            float(value) / (1000 if unit == "ms" else 1)
            for value, unit in re.findall(r"([\d.]+)(?: (ms|s)\b)?", number)
        ]
        held = [float(len(v) if isinstance(v, str) else v) for v in flat]
        assert written == pytest.approx(held), limit
