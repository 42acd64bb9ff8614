"""`python -m infra --out rendered/`: the manifests of your values, checked before anything is written."""

import argparse
import sys
from pathlib import Path

from infra.check import problems
from infra.crds import crd_problems
from infra.ray_up import ray_up_problems
from infra.render import VALUES, Rendered, ValuesError, read_values, render


def main() -> int:
    """Render, check and write; exit code 2 with every problem where something does not fit."""
    parser = argparse.ArgumentParser(prog="python -m infra", description="Manifests from values, checked offline.")
    parser.add_argument("--values", type=Path, default=VALUES, help="your copy of infra/values.yaml")
    parser.add_argument("--out", type=Path, help="the folder to write to; without it, nothing is written")
    parser.add_argument("--crd", type=Path, action="append", default=[], help="a CRD of your cluster to check against")
    asked = parser.parse_args()
    try:
        rendered = render(read_values(asked.values))
        found = _problems(rendered, asked.crd)
    except ValuesError as error:
        found = error.problems
    for problem in found:
        print(f"infra: {problem}", file=sys.stderr)
    if found:
        return 2
    try:
        _write(rendered, asked.out)
    except OSError as error:
        print(f"infra: {asked.out} cannot be written: {error.strerror}", file=sys.stderr)
        return 2
    return 0


def _write(rendered: Rendered, out: Path | None) -> None:
    if out is None:
        return
    out.mkdir(parents=True, exist_ok=True)
    for name, text in rendered.files():
        (out / name).write_text(text)
        print(out / name)


def _problems(rendered: Rendered, crds: list[Path]) -> list[str]:
    found = ray_up_problems(rendered.ray_up)
    for name, documents in rendered.kubernetes.items():
        found += [f"{name}: {said}" for said in (*problems(documents), *crd_problems(documents, crds))]
    return found


if __name__ == "__main__":
    sys.exit(main())
