"""The parts of rabbitmq-source/ for tests: a folder with a hyphen is no package, so they load from their paths."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parents[1] / "rabbitmq-source"


def load(name: str) -> ModuleType:
    """The module `name` of the source program, loaded once, as the script itself would import it."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        assert spec
        assert spec.loader
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]
