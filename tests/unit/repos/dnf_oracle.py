"""dnf's own answers, many in one process. Run by the machine's python3, which has dnf, not by the project's.

Each line of stdin is a question, each line of stdout its answer; both are JSON. A question: `root` (an install root
with an rpm database), `cache` (a folder), `repositories` (id → folder), `wanted` (requirement strings, as words of the
command line), and optionally `weak`, `excludes`, `modules` (streams to enable). An answer: `install` and `remove`,
sorted NEVRA strings, or `error`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import dnf  # type: ignore[import-not-found]
import dnf.exceptions  # type: ignore[import-not-found]
import dnf.module.module_base  # type: ignore[import-not-found]


def answer(question: dict[str, Any]) -> dict[str, Any]:
    with dnf.Base() as base:
        _configure(base, question)
        base.fill_sack(load_system_repo=True, load_available_repos=True)
        if modules := question.get("modules", []):
            dnf.module.module_base.ModuleBase(base).enable(modules)
        try:
            for word in question["wanted"]:
                base.install(word)
            base.resolve()
        except dnf.exceptions.Error as error:
            return {"error": str(error)}
        items = base.transaction
        return {
            "install": sorted(_nevra(package) for package in items.install_set),
            "remove": sorted(_nevra(package) for package in items.remove_set),
        }


def _configure(base: Any, question: dict[str, Any]) -> None:
    conf = base.conf
    conf.installroot = question["root"]
    conf.cachedir = question["cache"]
    conf.persistdir = question["cache"] + "/persist"
    conf.logdir = question["cache"]
    conf.substitutions["releasever"] = "1"
    conf.substitutions["arch"], conf.substitutions["basearch"] = "x86_64", "x86_64"
    conf.reposdir = ["/nonexistent"]
    conf.pluginpath, conf.plugins = [], False
    conf.best = False
    conf.gpgcheck = False
    conf.install_weak_deps = bool(question.get("weak"))
    conf.excludepkgs = question.get("excludes", [])
    conf.module_platform_id = question.get("platform", "platform:el9")
    for name, folder in question["repositories"].items():
        base.repos.add_new_repo(name, conf, baseurl=["file://" + folder], metadata_expire=0)


def _nevra(package: Any) -> str:
    return f"{package.name}-{package.epoch}:{package.version}-{package.release}.{package.arch}"


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
