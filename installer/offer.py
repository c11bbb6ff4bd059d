"""What a release brings, rendered for this host: the planner's view of a bundle, or of a release that lies here."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from installer.layout import Layout
from installer.state import AnswerValue
from installer.steps.config import RenderedConfig
from installer.steps.images import RegisteredImage
from installer.steps.stage import INDEX_NAME
from installer.steps.sysctl import Setting
from installer.steps.units import Unit
from payload.digest import Digest
from payload.errors import InputError, IntegrityError
from payload.index import read_index
from payload.manifest import Manifest
from payload.model import Index
from payload.version import Version
from repos.addresses import listening_address
from repos.offline import PACKAGES_FOLDER
from templates.contexts import CompletionContext, CtlContext, ServingContext
from templates.render import ProductContext, render, render_text

SHIPPED_FOLDER = "shipped-config"
"""In a release's folder: its configuration files as they were rendered."""


@dataclass(frozen=True, slots=True)
class SetupCommand:
    """A rendered set-up command."""

    argv: tuple[str, ...]
    stdin: str | None
    when: Literal["install", "always", "uninstall"]


@dataclass(frozen=True, slots=True)
class Offer:
    """A release, ready to be planned with."""

    manifest: Manifest
    bundle: Digest
    release: Path
    units: tuple[Unit, ...]
    config: tuple[RenderedConfig, ...]
    migrate: tuple[str, ...] | None
    setup: tuple[SetupCommand, ...]
    health_url: str | None
    images: tuple[RegisteredImage, ...]
    pip: str
    ctl: str
    completion: str
    wheels: tuple[str, ...]
    """File names of the wheels that this host's Python runs."""
    content_size: int
    """Bytes of all files of the release."""
    runtime_size: int
    wheels_size: int
    packages_size: int
    """Bytes of all RPM packages of the bundle."""
    image_size: int
    rehearse: tuple[str, ...] | None = None
    downgrade: tuple[str, ...] | None = None
    settings: tuple[Setting, ...] = ()
    """Of the kernel."""
    ports: tuple[str, ...] = ()
    """That other hosts are to reach, such as `8080/tcp`."""
    serve: str | None = None
    """`HOST:PORT` at which other hosts get the packages; all of them stay on this host then."""

    @property
    def version(self) -> Version:
        """The release's version."""
        return self.manifest.product.version

    @property
    def startable(self) -> tuple[str, ...]:
        """Units that are enabled and started."""
        return tuple(unit.name for unit in self.units if unit.startable)

    @property
    def has_packages(self) -> bool:
        """The product wants packages of the host."""
        return bool(self.manifest.repository.packages)

    @property
    def keeps_all_packages(self) -> bool:
        """Else only those stay in the release folder that this host has installed."""
        return self.serve is not None


def make_offer(
    index: Index,
    bundle: Digest,
    read: Callable[[str], bytes],
    layout: Layout,
    answers: Mapping[str, AnswerValue],
    *,
    downgrade_to: object = "",
    rehearsal: str | None = None,
) -> Offer:
    """Render everything that `index` brings; `read` gives the content of one of its entries.

    `downgrade_to` is the release that the offer's `downgrade` leads to, `rehearsal` the copy that its `rehearse` works
    on, if that is no file.

    Raises:
        InputError: a template cannot be rendered.
    """
    manifest = index.manifest
    release = layout.release(manifest.product.version)
    context = _context(manifest, layout, answers)
    copy = rehearsal or layout.rehearsal_dir / "database"
    special = replace(context, database=copy, downgrade_to=str(downgrade_to))

    def line(text: str, what: str) -> str:
        return render_text(text, context, where=what)

    def special_line(text: str, what: str) -> str:
        return render_text(text, special, where=what)

    def file(path: str) -> str:
        return render_text(read(path).decode(), context, where=path)

    server, config_dir = manifest.server, layout.config_dir
    serve = None if manifest.repository.serve is None else line(manifest.repository.serve, "repository.serve")
    units = tuple(Unit(unit_name(unit), file(template_entry("units", unit))) for unit in server.units)
    return Offer(
        manifest=manifest,
        bundle=bundle,
        release=release,
        units=units if serve is None else (*units, serving_unit(manifest, layout, serve)),
        serve=serve,
        config=tuple(
            RenderedConfig(
                config_dir / item.path,
                file(template_entry("config", item.template)),
                int(item.mode, 8),
                release / SHIPPED_FOLDER / item.path,
            )
            for item in server.config
        ),
        migrate=None if server.migrate is None else _command(server.migrate, line, context.venv),
        rehearse=None if server.rehearse is None else _command(server.rehearse, special_line, context.venv),
        downgrade=None if server.downgrade is None else _command(server.downgrade, special_line, context.venv),
        settings=tuple(Setting(each.key, each.value) for each in manifest.sysctl),
        ports=tuple(f"{_port(line(each.port, 'firewall.port'))}/{each.protocol}" for each in manifest.firewall),
        setup=tuple(
            SetupCommand(_command(item.command, line, context.venv), item.stdin, item.when) for item in server.setup
        ),
        health_url=None if server.health is None else line(server.health.url, "server.health.url"),
        images=_images(index, release),
        pip=f"tools/{index.lock.pip.filename}",
        ctl=render(
            "ctl/ctl.sh.j2",
            CtlContext(
                product=manifest.product.name,
                runtime=shlex.quote(str(layout.current / "runtime")),
                prefix=shlex.quote(str(layout.prefix)),
            ),
        ),
        completion=render(
            "ctl/completion.bash.j2",
            CompletionContext(
                product=manifest.product.name,
                function=f"{manifest.product.name.replace('-', '_')}_ctl",
                releases=shlex.quote(str(layout.releases)),
            ),
        ),
        wheels=_wheels(index),
        content_size=_size(index, ""),
        runtime_size=3 * (index.runtime.size + _size(index, "python")),  # both are stored compressed
        wheels_size=_size(index, "server"),
        packages_size=_size(index, "repository", PACKAGES_FOLDER),
        image_size=_size(index, "images/"),
    )


def installed_offer(
    layout: Layout, version: object, bundle: Digest, answers: Mapping[str, AnswerValue], *, downgrade_to: object = ""
) -> Offer:
    """The offer of a release that lies on this host.

    Raises:
        IntegrityError: its folder is gone or damaged.
    """
    release = layout.release(version)
    try:
        index = read_index((release / INDEX_NAME).read_bytes())
        return make_offer(
            index, bundle, lambda path: (release / path).read_bytes(), layout, answers, downgrade_to=downgrade_to
        )
    except (OSError, IntegrityError) as error:
        raise IntegrityError(
            "release-damaged",
            f"the release {version} in {release} is damaged",
            details=str(error),
            remedy="install its bundle again: bash BUNDLE -o puts back what is damaged",
        ) from error


def serving_unit(manifest: Manifest, layout: Layout, address: str) -> Unit:
    """The unit that serves the packages of the current release.

    Raises:
        InputError: `address` is not HOST:PORT.
    """
    try:
        listening_address(address)
    except ValueError as error:
        raise InputError("bad-address", f"repository.serve: {error}") from error
    product = manifest.product
    context = ServingContext(
        product=product.name, title=product.title, current=str(layout.current), address=address, user=manifest.user
    )
    return Unit(f"{product.name}-repository.service", render("repo/repository.service.j2", context))


def _port(text: str) -> int:
    """The number of a port.

    Raises:
        InputError: `text` is none.
    """
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 16):
        raise InputError("bad-port", f"firewall.port: {text!r} is no port: a number from 1 to 65535")
    return int(text)


def unit_name(unit: str) -> str:
    """The name of a unit file on the host."""
    return PurePosixPath(unit).name.removesuffix(".j2")


def template_entry(folder: str, path: str) -> str:
    """Where the bundle has a template of the manifest."""
    return f"templates/{folder}/{PurePosixPath(path).name.removesuffix('.j2')}.j2"


def _context(manifest: Manifest, layout: Layout, answers: Mapping[str, AnswerValue]) -> ProductContext:
    product = manifest.product
    release = layout.release(product.version)
    return ProductContext(
        product=product.name,
        version=str(product.version),
        title=product.title,
        prefix=layout.prefix,
        current=layout.current,
        release=release,
        venv=release / "venv",
        config_dir=layout.config_dir,
        data_dir=layout.data_dir,
        log_dir=layout.log_dir,
        user=manifest.user,
        database="" if manifest.server.database is None else layout.data_dir / manifest.server.database.path,
        downgrade_to=str(product.version),
        answers=answers,
    )


def _command(words: tuple[str, ...], line: Callable[[str, str], str], venv: Path) -> tuple[str, ...]:
    """The first word is a program of the environment unless it is a path."""
    program, *others = (line(word, " ".join(words)) for word in words)
    return (program if "/" in program else str(venv / "bin" / program), *others)


def _images(index: Index, release: Path) -> tuple[RegisteredImage, ...]:
    locked = {image.name: image for image in index.lock.images}
    return tuple(
        RegisteredImage(
            image.name,
            locked[image.name].digest,
            locked[image.name].size,
            locked[image.name].virtual_size,
            image.url,
            release / f"images/{image.name}.qcow2" if image.embed else None,
        )
        for image in index.manifest.images
    )


def _wheels(index: Index) -> tuple[str, ...]:
    """Agents for other hosts have those hosts' Python."""
    here = {"server", *(f"agents/{agent.name}" for agent in index.manifest.agents if agent.on == "management")}
    return tuple(sorted({wheel.filename for wheel in index.lock.wheels if wheel.environment in here}))


def _size(index: Index, component: str, folder: str = "") -> int:
    sizes = index.content_sizes
    return sum(
        sizes[entry.blob]
        for entry in index.entries
        if entry.component.startswith(component) and entry.path.startswith(folder)
    )
