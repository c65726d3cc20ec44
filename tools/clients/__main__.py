"""Generates the clients' files from the API's description: `python -m tools.clients [DIRECTORY]`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tools.clients import python, typescript

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Writes and formats the files, by default into client/."""
    target = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "client").resolve()
    document = description()
    resources = python.read(document)
    served = [resource for resource in resources if resource.operations]
    owner = {shape: resource.name for resource in resources for shape in resource.shapes}
    package = target / "reveille"
    written = {"shapes/__init__.py": '"""What the API takes and answers."""\n'}
    for prefix, folder in (("", "resources"), ("Async", "async_resources")):
        written[f"{folder}/__init__.py"] = python.index_of(served, prefix)
        for resource in served:
            written[f"{folder}/{resource.name}.py"] = python.methods_of(resource, document, owner, prefix)
    for resource in resources:
        written[f"shapes/{resource.name}.py"] = python.shapes_module(resource, document, owner)
    for name, text in written.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text, encoding="utf-8")
    types = target / "typescript" / "index.d.ts"
    types.parent.mkdir(parents=True, exist_ok=True)
    types.write_text(typescript.types_of(document), encoding="utf-8")
    config = ["--config", str(ROOT / "pyproject.toml")]
    for arguments in (["check", "--fix", "--quiet", "--select", "I,F401"], ["format", "--quiet"]):
        folders = [package / folder for folder in ("resources", "async_resources", "shapes")]
        subprocess.run([Path(sys.executable).parent / "ruff", *arguments, *config, *folders], check=True)
    return 0


def description() -> dict[str, Any]:
    """Returns the OpenAPI document of this checkout; needs no database."""
    from api.app import create_app
    from config.settings import load_settings

    settings = {"DATABASE_URL": "postgres://nobody@localhost/none", "REVEILLE_SECRET_KEY": "-" * 32}
    document: dict[str, Any] = json.loads(
        create_app(load_settings(settings)).test_client().get("/openapi.json").data
    )
    return document


if __name__ == "__main__":
    sys.exit(main())
