"""Nothing that came from outside becomes code: the calls by which that happens do not stand in the tree."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("dedup/crawl_dedup", "producer/crawl_producer", "consumer/crawl_consumer")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
#: Modules that make objects from bytes, and code from text.
MODULES = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "joblib"}
BUILTINS = {"eval", "exec", "compile", "__import__"}
#: Methods, by what they are called on.
METHODS = {
    ("yaml", "load"), ("yaml", "load_all"), ("yaml", "unsafe_load"), ("yaml", "full_load"), ("os", "system"),
    ("os", "popen"), ("subprocess", "getoutput"), ("subprocess", "getstatusoutput"),
}  # fmt: skip
#: The one place where text is meant to be code: what a developer types at the prompt of crawl-shell.
ALLOWED = {("consumer/crawl_consumer/workbench/prompt.py", name) for name in ("eval", "exec", "compile")}


def found(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names if alias.name.partition(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in MODULES:
            yield node.module
        elif isinstance(node, ast.Call):
            yield from _called(node)


def _called(call):
    match call.func:
        case ast.Name(name) if name in BUILTINS:
            yield name
        case ast.Attribute(ast.Name(of), name) if (of, name) in METHODS:
            yield f"{of}.{name}"
    if any(word.arg == "shell" and getattr(word.value, "value", True) for word in call.keywords):
        yield "shell=True"


def test_no_bytes_become_objects_and_no_text_becomes_code():
    guilty = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in SOURCES
        for name in found(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert len(SOURCES) > 150
    assert guilty <= ALLOWED


@pytest.mark.parametrize(
    "line",
    [
        "import pickle", "from marshal import loads", "eval(x)", "exec(x)", "__import__(x)", "yaml.load(x)",
        "os.system(x)", "subprocess.run(x, shell=True)", "import pickle.sub",
    ],
)  # fmt: skip
def test_each_of_them_is_recognised(line):
    assert list(found(ast.parse(line)))
