#!/usr/bin/env bash
# The image: infra/image/build.sh cpu|cuda [TAG]
# Needs Docker with BuildKit. What goes into it is infra/Dockerfile, what is sent to it .dockerignore.
set -euo pipefail
cd "$(dirname "$0")/../.."
variant=${1:?cpu or cuda}
case $variant in cpu | cuda) ;; *) echo "build.sh: $variant is neither cpu nor cuda" >&2; exit 2 ;; esac
version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
tag=${2:-stenopool:$version-$variant}
command -v docker >/dev/null || { echo "build.sh: docker is not installed" >&2; exit 2; }
exec env DOCKER_BUILDKIT=1 docker build --file infra/Dockerfile --build-arg "VARIANT=$variant" --tag "$tag" .
