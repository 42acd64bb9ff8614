"""`python -m infra --out rendered/`: the manifests of your values, checked before anything is written."""

import argparse
import sys
from pathlib import Path

from infra.check import crd_problems, problems, ray_up_problems
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
    for name, text in rendered.files() if asked.out else ():
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / name).write_text(text)
        print(asked.out / name)
    return 0


def _problems(rendered: Rendered, crds: list[Path]) -> list[str]:
    found = ray_up_problems(rendered.ray_up)
    for name, documents in rendered.kubernetes.items():
        found += [f"{name}: {said}" for said in (*problems(documents), *crd_problems(documents, crds))]
    return found


if __name__ == "__main__":
    sys.exit(main())
