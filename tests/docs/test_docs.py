"""
What a page shows has been run, what it lists is what there is, and where it points there is something.

A page is read from top to bottom, in one scratch folder:

- a fenced block below a line that holds nothing but a file name in bold, **`like/this.py`**, writes that file;
- a ```console block is typed: the lines behind `$ `, and what they print must be what follows them. A command that
  ends with another code than 0 must be followed by `$ echo $?`;
- other blocks are for the eye.

`python tests/docs/test_docs.py` writes what is generated and what the commands print into the pages.
"""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import os
import re
import shlex
import stat
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest
import typer

import homie_migrations_core
from homie_migrations_core import errors
from homie_migrations_core.packs import hookspecs
from homie_migrations_core.cli import app
from homie_migrations_core.sqlite import tracking

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PACKAGE = Path(homie_migrations_core.__file__).parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
HOME = "/home/you"


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


# --- running a page -----------------------------------------------------------------------------------

_FENCE = re.compile(r"^(?:\*\*`(?P<file>[^`\n]+)`\*\*\n\n)?```(?P<kind>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_END = "<<ended with "


def pieces(text: str) -> list[tuple[str, str, str]]:
    """`(kind, file name, content)` of every block that is run."""
    found = [(each["kind"], each["file"] or "", each["body"]) for each in _FENCE.finditer(text)]
    return [each for each in found if each[0] == "console" or each[1]]


def typed(body: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with what it prints."""
    found: list[tuple[str, str]] = []
    for line in body.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], ""))
        elif found and not found[-1][1] and line.startswith("> "):
            found[-1] = (f"{found[-1][0]}\n{line[2:]}", "")
        else:
            assert found, f"a console block begins with {line!r}, which nobody typed"
            found[-1] = (found[-1][0], f"{found[-1][1]}{line}\n")
    return found


def script_of(text: str) -> str:
    """The whole page as one shell script, so that `cd` and `export` last."""
    lines = [f"_end() {{ s=$?; printf '\\n{_END}%s>>\\n' $s; return $s; }}"]
    for kind, file, body in pieces(text):
        if file:
            quoted = shlex.quote(file)
            lines += [f"mkdir -p $(dirname {quoted})", f"cat > {quoted} <<'__END_OF_FILE__'\n{body}__END_OF_FILE__"]
        if kind == "console":
            lines += [f"{command}\n_end" for command, _ in typed(body)]
    return "\n".join(lines) + "\n"


def executable(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def packages_beside_ours(folder: Path) -> None:
    """What the development environment has installed, without the two distributions of this repository."""
    folder.mkdir()
    for each in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not re.search("homie|file_organizer", each.name) and each.suffix != ".pth":
            (folder / each.name).symlink_to(each)


def our_packages(folder: Path) -> None:
    """Both distributions as if they were installed there."""
    folder.mkdir()
    (folder / "homie_migrations_core").symlink_to(PACKAGE)
    organizer = importlib.import_module("file_organizer_migrations")
    (folder / "file_organizer_migrations").symlink_to(Path(str(organizer.__file__)).parent)
    for name in ("homie-migrations-core", "homie-file-organizer-migrations"):
        found = Path(str(importlib.metadata.distribution(name)._path))  # type: ignore[attr-defined]
        (folder / found.name).symlink_to(found)


def environment(text: str, place: Path) -> dict[str, str]:
    """
    An environment in which `homie` and `python` are there, and nothing of the user's is within reach.

    A page that installs something gets an empty virtual environment, and one that makes its own finds nothing of ours
    in it. Nothing is fetched: what is to be built is built with what the development environment has.
    """
    tools, python = place / "bin", shlex.quote(sys.executable)
    tools.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HOMIE_", "PIP_"))}
    variables = {
        **kept,
        "HOME": str(place / "you"),
        "HOMIE_DATA_DIR": str(place / "you" / "data"),
        "PATH": f"{tools}:{os.environ['PATH']}",
        "LC_ALL": "C.UTF-8",
    }
    if "pip install" in text or "pip wheel" in text:
        packages_beside_ours(place / "beside")
        on_path = [str(place / "beside")]
        # An environment without pip in it is made in a tenth of the time; the pip that is used is the one beside ours.
        executable(tools / "pip", 'exec python -m pip "$@"')
        if "-m venv" in text:
            (place / "you" / "homie-migrations").symlink_to(ROOT)
            venv = f'exec {python} -m venv --without-pip "$3"'
            executable(tools / "python3", f'case "$1 $2" in "-m venv") {venv};; esac\nexec {python} "$@"')
        else:
            our_packages(place / "ours")
            on_path.insert(0, str(place / "ours"))
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place / "venv")], check=True)
            python = shlex.quote(str(place / "venv" / "bin" / "python"))
        variables |= {"PYTHONPATH": ":".join(on_path), "PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}
        variables |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore", "PIP_CACHE_DIR": str(place / "cache")}
    if "-m venv" not in text:  # else both come from the environment that the page makes
        executable(tools / "python", f'exec {python} "$@"')
        executable(tools / "homie", f'exec {python} -m homie_migrations_core "$@"')
    return variables


def run_page(text: str, place: Path) -> list[tuple[int, str]]:
    """The exit code and the output of every command that a page types."""
    (place / "you").mkdir()
    script = place / "page.sh"
    script.write_text(script_of(text), encoding="utf-8")
    run = subprocess.run(
        ["sh", str(script)],
        cwd=place / "you",
        env=environment(text, place),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
    )
    shown = run.stdout.decode("utf-8").replace(str(place / "you"), HOME)
    found = re.split(rf"\n{_END}(\d+)>>\n", shown)
    return [(int(code), output) for output, code in zip(found[::2], found[1::2], strict=False)]


def timeless(output: str) -> str:
    """Times of this run become the one time that every page shows."""
    output = re.sub(r"\b20(?:2[6-9]|[3-9]\d)-\d\d-\d\d \d\d:\d\d:\d\d\b", "2026-01-05 09:30:00", output)
    output = re.sub(r"\b20\d{6}T\d{6}\.\d{6}Z\b", "20260105T093000.000000Z", output)
    output = re.sub(r"\bmade in \d+\.\d s\b", "made in 0.0 s", output)
    return re.sub(r" \d+ ms\b", " 1 ms", re.sub(r" in \d+\.\d+s\b", " in 0.10s", output)).strip("\n")


def as_on_a_page(output: str) -> str:
    """An output without what differs from run to run: times, and columns that are as wide as a duration."""
    return "\n".join(re.sub(r"(?<=\S) {2,}", "  ", line).rstrip() for line in timeless(output).splitlines())


RUN = [page for page in PAGES if pieces(page.read_text(encoding="utf-8"))]


@pytest.mark.skipif(os.name == "nt", reason="the pages are typed into a POSIX shell")
@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_a_page_shows_what_really_happens(page, tmp_path):
    text = page.read_text(encoding="utf-8")
    commands = [each for kind, _, body in pieces(text) if kind == "console" for each in typed(body)]
    done = run_page(text, tmp_path)
    assert len(done) == len(commands), f"the shell stopped after {commands[len(done) - 1][0]!r}"
    asked = [command for command, _ in commands[1:]] + [""]
    for (command, expected), (code, output), following in zip(commands, done, asked, strict=True):
        assert as_on_a_page(output) == as_on_a_page(expected), f"after: {command}"
        assert code == 0 or following == "echo $?", f"{command} ended with {code}, and the page does not say so:\n{output}"


# --- links ----------------------------------------------------------------------------------------------

_LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """The ids that a page's headings get."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    lost = []
    for link in _LINK.findall(page.read_text(encoding="utf-8")):
        if link.startswith(("https://", "http://")):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)
    assert not lost


def test_every_page_can_be_reached_from_the_map():
    linked = {
        (DOCS / link.partition("#")[0]).resolve() for link in _LINK.findall(text_of("docs/index.md")) if not link.startswith("http")
    }
    assert {page for page in DOCS.rglob("*.md") if page.name != "index.md"} <= linked


# --- what is generated ----------------------------------------------------------------------------------


def table(heads: str, rows: list[tuple[str, ...]]) -> str:
    columns = heads.split("|")
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join(lines + ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows])


def commands() -> dict[str, object]:
    group = typer.main.get_command(app.migrations)
    return {name: group.get_command(None, name) for name in group.list_commands(None)}


def described(command) -> str:
    """A command's help and options, from the program itself."""
    rows = []
    for parameter in command.params:
        if parameter.name in ("help", "install_completion", "show_completion"):
            continue
        if parameter.param_type_name == "argument":
            rows.append((f"`{parameter.metavar}`", parameter.help))
            continue
        spelled = " or ".join(f"`{name}`" for name in sorted(parameter.opts, key=len))
        value = "" if parameter.is_flag else f" `{parameter.metavar}`"
        default = f" Default: {parameter.default:g}." if isinstance(parameter.default, float) else ""
        rows.append((spelled + value, parameter.help + default))
    return f"{command.help}\n\n{table('option|what it does', rows)}"


def hooks() -> dict[str, object]:
    return {name: hook for name, hook in vars(hookspecs).items() if name.startswith(hookspecs.PREFIX)}


def error_classes() -> list[type[errors.HomieMigrationsError]]:
    """In the order of the file."""
    found = [each for each in vars(errors).values() if inspect.isclass(each) and issubclass(each, errors.HomieMigrationsError)]
    return [each for each in found if "code" in vars(each)]


def error_table() -> str:
    rows = []
    for each in error_classes():
        sentence = " ".join(inspect.getdoc(each).split("\n\n")[0].split())
        rows.append((f"`{each.code}`", str(each.exit_code), f"`{each.__name__}`", sentence))
    return table("code|exit code|class|what it means", rows)


def generated() -> dict[tuple[str, str], str]:
    """What stands between `<!-- generated: NAME -->` and `<!-- end -->`, by page and name."""
    found = {("docs/reference/command-line.md", name): described(command) for name, command in commands().items()}
    found["docs/reference/errors.md", "errors"] = error_table()
    found["docs/reference/tracking-table.md", "table"] = f"```sql\n{tracking.create_sql('file_organizer')};\n```"
    for name, hook in hooks().items():
        found["docs/reference/hooks.md", name] = inspect.getdoc(hook)
    return found


def between(name: str, text: str) -> re.Match[str] | None:
    return re.search(rf"(?<=<!-- generated: {name} -->\n)(?:(?!<!--).)*(?=<!-- end -->)", text, re.DOTALL)


@pytest.mark.parametrize(("page", "name"), generated(), ids=lambda each: each)
def test_what_is_generated_is_what_the_program_says(page, name):
    found = between(name, text_of(page))
    assert found, f"{page} has no generated part {name!r}"
    assert found[0].strip() == generated()[page, name], "python tests/docs/test_docs.py writes it anew"


# --- nothing is left out --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", hooks())
def test_hook_is_documented(name):
    parameters = ", ".join(inspect.signature(hooks()[name]).parameters)
    assert f"\n## {name}({parameters})\n" in text_of("docs/reference/hooks.md")


@pytest.mark.parametrize("name", commands())
def test_command_is_documented(name):
    page = text_of("docs/reference/command-line.md")
    assert f"\n## {name}\n" in page
    for alias in (alias for alias, meant in app._ALIASES.items() if meant == name):
        assert f"`{alias}`" in page


def test_every_exit_code_is_explained():
    page = text_of("docs/reference/command-line.md")
    codes = {each.exit_code for each in error_classes()} | {0, 3, 143}
    assert not [code for code in sorted(codes) if f"\n| **{code}** |" not in page]


def test_no_page_shows_a_command_that_is_not_there():
    shown = {
        (name_of(page), command)
        for page in PAGES
        for command in re.findall(r"`?homie migrations ([a-z-]+)", page.read_text(encoding="utf-8"))
    }
    assert not {each for each in shown if each[1] not in commands()}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_shows_an_accident(page):
    text = page.read_text(encoding="utf-8")
    assert not [word for word in ("Traceback", "/tmp", tempfile.gettempdir(), str(ROOT)) if word in text]


# --- the house ------------------------------------------------------------------------------------------


def layers() -> dict[str, int]:
    """Module → layer, as the page says it. The files of a folder share its layer."""
    rows = re.findall(r"^\| (\d) \| `([\w/.]+)` \|", text_of("docs/explanation/structure.md"), re.MULTILINE)
    return {module: int(layer) for layer, module in rows}


def layer_of(file: Path) -> int:
    name, found = file.relative_to(PACKAGE).as_posix(), layers()
    layer = found.get(name, found.get(f"{name.partition('/')[0]}/" if "/" in name else ""))
    assert layer is not None, f"{name} has no layer on docs/explanation/structure.md"
    return layer


def modules() -> list[Path]:
    return [each for each in sorted(PACKAGE.rglob("*.py")) if each.name not in ("__init__.py", "__main__.py")]


@pytest.mark.parametrize("file", modules(), ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_the_map_of_the_house_is_true(file):
    """Every module is on it, and imports only from lower layers or its own folder. Imports for types alone do not count."""
    page, name = text_of("docs/explanation/structure.md"), file.relative_to(PACKAGE).as_posix()
    assert f"`{name}`" in page or f"`{file.name}`" in page, f"{name} is not on docs/explanation/structure.md"
    tree = ast.parse(file.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    upward = []
    for node in ast.walk(tree):
        if (
            not isinstance(node, ast.ImportFrom)
            or id(node) in typing_only
            or not (node.module or "").startswith("homie_migrations_core")
        ):
            continue
        place = PACKAGE.joinpath(*node.module.split(".")[1:])
        imported = [place / each.name for each in node.names] if place.is_dir() else [place]
        for each in (path.with_suffix(".py") for path in imported):
            if each.is_file() and not (each.parent == file.parent != PACKAGE) and not layer_of(each) < layer_of(file):
                upward.append(each.name)
    assert not upward


# --- windows --------------------------------------------------------------------------------------------


def recipes() -> list[str]:
    """The lines behind `make run` and `make test`, as PowerShell would have them."""
    lines = text_of("Makefile").splitlines()
    values = dict(re.findall(r"^(?:export )?(\w+) (?:\?|:)?= (.+)$", "\n".join(lines), re.MULTILINE))
    found, wanted = [], False
    for line in lines:
        if line and not line.startswith("\t"):
            wanted = line.partition(":")[0] in ("run", "test", ".venv/run", ".venv/test")
        elif wanted and line.startswith("\t") and "touch" not in line:
            line = line.strip()
            while "$(" in line:
                line = re.sub(r"\$\((\w+)\)", lambda name: values[name[1]], line)
            line = line.replace("python3 -m venv", "py -m venv")
            found.append(re.sub(r"\.venv/bin/(\S+)", r".venv\\Scripts\\\1", line))
    return found


@pytest.mark.parametrize("line", recipes())
def test_the_page_for_windows_has_the_lines_of_the_makefile(line):
    assert f"\n{line}\n" in text_of("docs/how-to/windows.md")


# --- writing what is generated --------------------------------------------------------------------------


def write(only: list[str]) -> None:
    for (page, name), text in generated().items():
        if only and page not in only:
            continue
        before = text_of(page)
        found = between(name, before)
        assert found, f"{page} has no generated part {name!r}"
        (ROOT / page).write_text(f"{before[: found.start()]}\n{text}\n\n{before[found.end() :]}", encoding="utf-8")
    for page in RUN:
        if only and name_of(page) not in only:
            continue
        text = page.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as place:
            done = iter(run_page(text, Path(place)))

        def rewritten(fence: re.Match[str], done=done) -> str:
            if fence["kind"] != "console":
                return fence[0]
            lines = []
            for command, _ in typed(fence["body"]):
                lines += ["$ " + command.replace("\n", "\n> "), timeless(next(done)[1])]
            return "```console\n" + "\n".join(line for line in lines if line) + "\n```"

        page.write_text(_FENCE.sub(rewritten, text), encoding="utf-8")
        print(name_of(page))


if __name__ == "__main__":
    write(sys.argv[1:])
